"""Files on a host: all of a role compared by one look, all changed ones written by one command.

A file is written beside its destination with mode 0600, checked against its digest, given owner and mode, flushed, and
renamed into place: at no time does the path hold half a file, or a secret a wider mode than the final one. Content
travels on standard input, so it is in no process list and no log.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import posixpath
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import partial

from pyinfra import logger
from pyinfra.api.command import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.operation import operation
from pyinfra.context import ctx_host

from tailwart.errors import TailwartError
from tailwart.facts.host import HostState, Watch, observe
from tailwart.facts.report import HostReport, PathState
from tailwart.operations.remote import Runner, command

_PATH = re.compile(r"(/[A-Za-z0-9._@+-]+)+")  # nothing a shell or a digest list would take for its own
_MODE = re.compile(r"0[0-7]{3}")
_OWNER = re.compile(r"[a-z0-9_][a-z0-9_-]*:[a-z0-9_][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class HostFile:
    """A file as it must be on the host. ``secret`` content is never shown, not even as a difference.

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
    """A directory as it must be on the host; other parents of files are made with mode 0755 where they are missing."""

    path: str
    mode: str = "0755"
    owner: str = "root:root"

    def __post_init__(self) -> None:
        _check(self.path, self.mode, self.owner)

    def matches(self, state: PathState | None) -> bool:
        """Whether the path already is this directory."""
        return state == PathState("directory", self.mode, self.owner)


def watch(files: Sequence[HostFile], directories: Sequence[HostDirectory] = ()) -> Watch:
    """A `Watch` on just these paths, for roles without a Compose project."""
    return Watch(paths=tuple(_paths(files, directories)))


def pending(
    report: HostReport, files: Sequence[HostFile], directories: Sequence[HostDirectory] = ()
) -> tuple[list[HostFile], list[HostDirectory]]:
    """The files and directories that are not yet as they must be."""
    return (
        [item for item in files if not item.matches(report.paths.get(item.path))],
        [item for item in directories if not item.matches(report.paths.get(item.path))],
    )


@operation()
def put(
    files: Sequence[HostFile], directories: Sequence[HostDirectory] = (), look: Watch | None = None
) -> Generator[FunctionCommand, None, None]:
    """Make ``directories`` and ``files`` as they must be: one look, and one command when something differs.

    ``look`` is the role's `Watch`, so that its operations share one remote command; it must name every path.
    """
    host = ctx_host.get()
    look = look or watch(files, directories)
    missing = set(_paths(files, directories)) - set(look.paths)
    if missing:
        raise ValueError(f"the role's watch does not name {sorted(missing)[0]}")
    report = observe(host, look)
    changed, made = pending(report, files, directories)
    if not changed and not made:
        host.noop(f"{len(files)} files are as they must be")
        return
    if host.state.config.DIFF:
        show(host, report, changed, made)
    yield command(host, partial(write, files=changed, directories=made), f"write {len(changed)} files")


def write(run: Runner, files: Sequence[HostFile], directories: Sequence[HostDirectory] = ()) -> None:
    """Write and verify; raises `TailwartError` naming the path that could not be written and what the host said."""
    result = run(_script(files, directories), stdin="".join(_line(item) for item in files), timeout=300)
    if result.ok and result.stdout.splitlines()[-1:] == ["written"]:
        return
    path = next((line.removeprefix("at ") for line in reversed(result.stdout.splitlines()) if line[:3] == "at "), "?")
    raise TailwartError(
        f"could not write {path}",
        seen=result.stderr.strip() or "the connection or the shell ended early",
        expected="a writable file system with free space, and an owner that exists on the host",
        remedy=f"look at `df -h {posixpath.dirname(path)}` and `ls -la {posixpath.dirname(path)}`, then run again",
    )


def differences(old: bytes, new: HostFile) -> list[str]:
    """A unified difference of text, one line that tells no content otherwise."""
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


def _paths(files: Sequence[HostFile], directories: Sequence[HostDirectory]) -> list[str]:
    return [*(item.path for item in directories), *(item.path for item in files)]


def _line(file: HostFile) -> str:
    return f"{file.sha256} {base64.b64encode(file.data).decode()}\n"


def _script(files: Sequence[HostFile], directories: Sequence[HostDirectory]) -> str:
    # `read` and `printf` are built into every POSIX shell of Debian: content never becomes an argument of a process.
    parts = [
        "set -eu; umask 077; new=",
        "trap 'rm -f -- ${new:+\"$new\"}' EXIT; trap 'exit 1' HUP INT TERM",
        'check() { [ "$(sha256sum <"$1")" = "$sum  -" ] || { echo "content damaged on the way" >&2; exit 1; }; }',
        *(f"echo at {path}; [ -d {path} ] || mkdir -p -m 0755 -- {path}" for path in _parents(files, directories)),
    ]
    for directory in directories:
        path = directory.path
        parts += [
            f"echo at {path}; mkdir -p -- {path}",
            f"chown {directory.owner} {path}; chmod {directory.mode} {path}",
        ]
    for file in files:
        folder, name = posixpath.split(file.path)
        parts += [
            f"echo at {file.path}",
            # What a run that was killed left behind; a younger one may belong to a colleague's run.
            f"find {folder} -maxdepth 1 -name '.{name}.tailwart-*' -mmin +60 -delete",
            f'new=$(mktemp {folder}/.{name}.tailwart-XXXXXX); IFS=" " read -r sum line',
            'printf %s "$line" | base64 -d >"$new"; check "$new"',
            f'chown {file.owner} "$new"; chmod {file.mode} "$new"; sync "$new"',
            f'mv -fT -- "$new" {file.path}; new=; check {file.path}',
        ]
    parts.append("echo written")
    return "\n".join(parts)


def _parents(files: Sequence[HostFile], directories: Sequence[HostDirectory]) -> list[str]:
    declared = {item.path for item in directories}
    wanted = {posixpath.dirname(path) for path in _paths(files, directories)}
    found: set[str] = set()
    for path in wanted:
        while path != "/":
            found.add(path)
            path = posixpath.dirname(path)  # noqa: PLW2901 - walking up is the point
    return sorted(found - declared)


def show(host: Host, report: HostReport, files: Sequence[HostFile], directories: Sequence[HostDirectory] = ()) -> None:
    """Print what would be written: unified differences, and a line without content for secrets."""
    readable = [item.path for item in files if not item.secret and report.paths.get(item.path)]
    contents = host.get_fact(HostState, watch=Watch(contents=tuple(readable))).contents if readable else {}
    for directory in directories:
        host.log(f"{directory.path}: directory, mode {directory.mode}, owner {directory.owner}")
    for file in files:
        before = report.paths.get(file.path)
        if before is None or before.sha256 != file.sha256:
            for line in differences(contents.get(file.path, b""), file):
                logger.info("  %s", line)
        if before is not None and (before.mode, before.owner) != (file.mode, file.owner):
            host.log(f"{file.path}: {before.mode} {before.owner} → {file.mode} {file.owner}")
