"""Files and directories as a host should have them, and which of them differ. Pure: no pyinfra, no host."""

from __future__ import annotations

import difflib
import hashlib
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from tailwart.hosts.report import HostReport, PathState

_PATH = re.compile(r"(/[A-Za-z0-9._@+-]+)+")  # no character with a meaning for a shell or in a list of digests
_MODE = re.compile(r"0[0-7]{3}")
_OWNER = re.compile(r"[a-z0-9_][a-z0-9_-]*:[a-z0-9_][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class HostFile:
    """A file as it should be on the host. ``secret`` content is never shown, not even as a difference.

    Raises `ValueError` for a path that is not absolute and plain, or a mode or owner that is not in ``0644`` and
    ``user:group`` form.
    """

    path: str
    content: bytes | str = field(repr=False)
    mode: str = "0644"
    secret: bool = False
    owner: str = "root:root"

    def __post_init__(self) -> None:
        _check(self.path, self.mode, self.owner)
        if self.secret and int(self.mode, 8) & 0o077:
            raise ValueError(f"{self.path} holds secrets: its mode must be 0600 or stricter, not {self.mode}")

    @property
    def data(self) -> bytes:
        """The content as it will be written."""
        return self.content.encode() if isinstance(self.content, str) else self.content

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of `data`."""
        return hashlib.sha256(self.data).hexdigest()

    def matches(self, state: PathState | None) -> bool:
        """Whether the path already is this file."""
        return state == PathState("file", self.mode, self.owner, self.sha256)


@dataclass(frozen=True, slots=True)
class HostDirectory:
    """A directory as it should be on the host; other missing parents of files are made with mode 0755."""

    path: str
    mode: str = "0755"
    owner: str = "root:root"

    def __post_init__(self) -> None:
        _check(self.path, self.mode, self.owner)

    def matches(self, state: PathState | None) -> bool:
        """Whether the path already is this directory."""
        return state == PathState("directory", self.mode, self.owner)


def pending(
    report: HostReport, files: Sequence[HostFile], directories: Sequence[HostDirectory] = ()
) -> tuple[list[HostFile], list[HostDirectory]]:
    """The files and directories that differ on the host."""
    return (
        [item for item in files if not item.matches(report.paths.get(item.path))],
        [item for item in directories if not item.matches(report.paths.get(item.path))],
    )


def differences(old: bytes, new: HostFile) -> list[str]:
    """A unified difference of text, otherwise one line without content."""
    if new.secret:
        return [f"{new.path}: content changed (secret)"]
    try:
        before, after = old.decode(), new.data.decode()
    except UnicodeDecodeError:
        return [f"{new.path}: content changed (binary)"]
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), new.path, new.path, lineterm="")
    return list(lines)


def _check(path: str, mode: str, owner: str) -> None:
    if _PATH.fullmatch(path) is None or posixpath.normpath(path) != path:
        raise ValueError(f"not an absolute, plain path: {path!r}")
    if _MODE.fullmatch(mode) is None:
        raise ValueError(f"the mode of {path} must look like 0644, not {mode!r}")
    if _OWNER.fullmatch(owner) is None:
        raise ValueError(f"the owner of {path} must look like root:root, not {owner!r}")


def paths(files: Sequence[HostFile], directories: Sequence[HostDirectory] = ()) -> list[str]:
    """Every path among them, directories first."""
    return [*(item.path for item in directories), *(item.path for item in files)]
