"""The checkout that deploys are made from: its revision, what is in no commit, and a digest of what is deployed."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

DEPLOYED = ("deploy.py", "inventory.py", "group_data", "tasks", "tailwart", "templates")
"""What a deploy is made from, besides `.env`. Documentation, tests and the lab are not."""
_FAILED = (OSError, subprocess.SubprocessError, UnicodeDecodeError)


@dataclass(frozen=True, slots=True)
class Working:
    """The checkout as it is now. ``edited`` are the files of `DEPLOYED` that are in no commit; ``tree`` is the digest
    of all of them. Everything is empty without git.
    """

    revision: str = ""
    tree: str = ""
    edited: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The revision as people write it, with a plus for files that are in no commit."""
        return f"{self.revision or 'no revision'}{'+' if self.edited else ''}"


def checkout(directory: Path | None = None) -> tuple[str, bool]:
    """The revision of the checkout that is used, and whether tracked files differ from it; empty without git."""
    try:
        revision = _git(directory, "rev-parse", "--short=10", "HEAD")
        return revision.strip(), bool(_git(directory, "status", "--porcelain", "--untracked-files=no").strip())
    except _FAILED:
        return "", False


def working(directory: Path | None = None) -> Working:
    """The checkout with its digest; a file that is in no commit yet counts, one that git ignores does not."""
    try:
        revision = _git(directory, "rev-parse", "--short=10", "HEAD").strip()
        changed = _git(directory, "diff", "--name-only", "-z", "HEAD", "--", *DEPLOYED).split("\0")
        new = _git(directory, "ls-files", "-z", "--others", "--exclude-standard", "--", *DEPLOYED).split("\0")
        files = _git(directory, "ls-files", "-z", "--cached", "--", *DEPLOYED).split("\0")
        return Working(
            revision, _digest(directory or Path(), {*files, *new} - {""}), tuple(filter(None, changed + new))
        )
    except _FAILED:
        return Working()


def changed_since(revision: str, directory: Path | None = None) -> tuple[str, ...] | None:
    """The files of `DEPLOYED` that differ from a revision now; None where the checkout does not have it."""
    try:
        found = _git(directory, "diff", "--name-only", "-z", revision, "--", *DEPLOYED)
        new = _git(directory, "ls-files", "-z", "--others", "--exclude-standard", "--", *DEPLOYED)
    except _FAILED:
        return None
    return tuple(filter(None, (found + new).split("\0")))


def _digest(directory: Path, names: set[str]) -> str:
    whole = hashlib.sha256()
    for name in sorted(names):
        path = directory / name
        # A file that was deleted and not committed is one that is not there.
        if path.is_file():
            whole.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
    return whole.hexdigest()[:20]


def _git(directory: Path | None, *words: str) -> str:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    return subprocess.run(
        ["git", *words], cwd=directory, env=environment, capture_output=True, text=True, check=True, timeout=20
    ).stdout
