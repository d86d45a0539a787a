"""Where the lab keeps things: a cache that survives `lab down`, and the state of the one lab of this machine."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def _home(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    # The XDG specification: a relative path in these variables is invalid and is to be ignored.
    base = Path(value) if value.startswith("/") else Path.home() / default
    return base / "tailwart"


def cache() -> Path:
    """Binaries, base file systems and the private engine's images; kept by `lab down`."""
    return _home("XDG_CACHE_HOME", ".cache")


def state() -> Path:
    """CA, keys, secrets, `.env` and known_hosts of the lab (mode 0700)."""
    return _home("XDG_STATE_HOME", ".local/state") / "lab"


def logs() -> Path:
    """Output of the long steps: one file for each program and image."""
    return state() / "logs"


def ensure_private(directory: Path) -> Path:
    """Create a directory that only its owner enters, or close one that others could enter."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    return directory


def write_private(path: Path, content: bytes, mode: int = 0o600) -> bool:
    """Write atomically, private from the first byte; True when the content changed."""
    if path.is_file() and path.read_bytes() == content and path.stat().st_mode & 0o777 == mode:
        return False
    ensure_private(path.parent) if not path.parent.is_dir() else None
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    temporary.chmod(mode)
    temporary.replace(path)
    return True
