"""Files on a host: all of a role compared by one remote command, all changed ones written by one command.

A file is written beside its destination with mode 0600, checked against its digest, given owner and mode, flushed, and
renamed into place: at no time does the path hold half a file, or a secret a wider mode than the final one. Content
travels on standard input, so it is in no process list and no log.

Not pyinfra's own `files.put` and `files.template`: each asks the host about every file, uploads straight to the path
where the host allows it, and shows secrets with `--diff`.
"""

from __future__ import annotations

import base64
import posixpath
from collections.abc import Generator, Sequence
from functools import partial

from pyinfra import logger
from pyinfra.api.command import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.context import ctx_host

from tailwart.errors import TailwartError
from tailwart.facts.host import observe, read
from tailwart.hosts.files import HostDirectory, HostFile, differences, paths, pending
from tailwart.hosts.report import HostReport
from tailwart.hosts.watch import Watch
from tailwart.operations.guard import operation
from tailwart.operations.remote import command
from tailwart.report import detail
from tailwart.runner import Runner


@operation()
def put(
    files: Sequence[HostFile], watch: Watch, directories: Sequence[HostDirectory] = ()
) -> Generator[FunctionCommand, None, None]:
    """``directories`` and ``files`` are on the host as given; one command writes all that differ.

    ``watch`` is the role's `Watch`, so that its operations share one remote command; it must name every path.
    """
    host = ctx_host.get()
    if not watch.covers(Watch(tuple(paths(files, directories)))):
        raise ValueError("the role's watch does not name every file")
    report = observe(host, watch)
    changed, made = pending(report, files, directories)
    if not changed and not made:
        host.noop(f"{len(files)} files are up to date")
        return
    detail(host, *(f"{path} changes" for path in paths(changed, made)))
    if host.state.config.DIFF:
        show(host, report, changed, made)
    yield command(host, partial(write, files=changed, directories=made), f"write {len(changed)} files")


def write(run: Runner, files: Sequence[HostFile], directories: Sequence[HostDirectory] = ()) -> None:
    """Write and verify; raises `TailwartError` naming the path that could not be written and the host's message."""
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
            # Left behind by a run that was killed; a younger one may belong to a colleague's run.
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
    found: set[str] = set()
    for path in {posixpath.dirname(path) for path in paths(files, directories)}:
        while path != "/":
            found.add(path)
            path = posixpath.dirname(path)  # noqa: PLW2901 - walking up is the point
    return sorted(found - declared)


def show(host: Host, report: HostReport, files: Sequence[HostFile], directories: Sequence[HostDirectory] = ()) -> None:
    """Print what would be written: unified differences, and a line without content for secrets."""
    readable = [item.path for item in files if not item.secret and report.paths.get(item.path)]
    contents = read(host, Watch(contents=tuple(readable))).contents if readable else {}
    for directory in directories:
        host.log(f"{directory.path}: directory, mode {directory.mode}, owner {directory.owner}")
    for file in files:
        before = report.paths.get(file.path)
        if before is None or before.sha256 != file.sha256:
            for line in differences(contents.get(file.path, b""), file):
                logger.info("  %s", line)
        if before is not None and (before.mode, before.owner) != (file.mode, file.owner):
            host.log(f"{file.path}: {before.mode} {before.owner} → {file.mode} {file.owner}")
