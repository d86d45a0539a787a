"""Copies of the policy file from before each write, for `tailwart tailnet restore`."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

from tailwart.errors import TailwartError

DIRECTORY = Path("_backup") / "tailnet"


def save(text: str, directory: Path = DIRECTORY) -> Path:
    """Write a text as the newest snapshot and return its path; a text equal to the newest one is not written again.

    The directory is 0700, the file 0600, complete or absent. Its name is the time in UTC and part of the SHA-256.
    """
    for path in (directory.parent, directory):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    content = text.encode()
    digest = hashlib.sha256(content).hexdigest()[:12]
    kept = names(directory)
    if kept and kept[-1].stem.endswith(digest):
        return kept[-1]
    path = directory / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{digest}.hujson"
    partial = path.with_suffix(".partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    return path


def names(directory: Path = DIRECTORY) -> list[Path]:
    """All snapshots, the oldest first."""
    return sorted(directory.glob("*.hujson"))


def load(name: str, directory: Path = DIRECTORY) -> str:
    """The text of a snapshot, given by path, file name, the beginning of one, or `latest`.

    Raises `TailwartError` when none or more than one matches.
    """
    kept = names(directory)
    found = kept[-1:] if name == "latest" else [path for path in kept if path.name.startswith(name)]
    if not found and Path(name).is_file():
        found = [Path(name)]
    if len(found) != 1:
        raise TailwartError(
            f"{'No snapshot' if not found else 'More than one snapshot'} {name!r} in {directory}",
            seen=", ".join(path.name for path in (found or kept)[-5:]) or "none there",
            expected="a file, the unambiguous beginning of a name, or latest",
            remedy="tailwart tailnet restore lists them",
        )
    return found[0].read_bytes().decode("utf-8")
