"""The mailbox's volumes and notes on the new host: what rests while the server works, later the rest, with proof."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from tailwart.connectors.shell import SshRunner
from tailwart.errors import TailwartError
from tailwart.hosts.files import HostFile
from tailwart.hosts.project import ComposeProject
from tailwart.mailbox import names
from tailwart.migration import streams, trees
from tailwart.migration.hosts import VOLUMES, mountpoint
from tailwart.migration.journal import ARRIVING, PATH
from tailwart.operations import hostfiles

Log = Callable[[str], None]
_HISTORY = "/opt/tailwart/history.jsonl"
# Of the old host and of its moment: locks, the record of what was brought up, a pause of a process that has ended.
_NOT_TAKEN = (".lock", ".watch", ".applied", "join", names.QUEUE_PAUSED, names.RESTART_REQUIRED)
_SECONDS = 7200


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder on both hosts; ``skip`` are names directly below it that are not taken."""

    title: str
    source: str
    target: str
    skip: tuple[str, ...] = ()


def folders(source: SshRunner, target: SshRunner, project: ComposeProject) -> list[Tree]:
    """What moves. The files that the deploy writes are there already, from the same `.env`."""
    written = {
        file.path.removeprefix(f"{project.directory}/").partition("/")[0]
        for file in project.files
        if file.path.startswith(f"{project.directory}/")
    }
    own = {path.rpartition("/")[2] for path in (ARRIVING, PATH)}
    found = [Tree(volume, mountpoint(source, volume), mountpoint(target, volume)) for volume in VOLUMES]
    skip = tuple(sorted({*written, *own, *_NOT_TAKEN}))
    return [*found, Tree(project.directory, project.directory, project.directory, skip)]


def ahead(source: SshRunner, target: SshRunner, tree: Tree, log: Log) -> None:
    """Send what is not changed any more while the server works, so that less is left for the pause.

    Tables of the embedded store and message bodies are never changed once they are written.
    """
    there = _list(source, tree.source, tree.skip, hashed=False)
    differing = trees.difference(there, _list(target, tree.target, tree.skip, hashed=False)).send
    aged = source(
        f"cd {shlex.quote(tree.source)} && find . -type f -mmin +1 -printf '%P\\0' -o -type d -printf '%P\\0'",
        timeout=600,
    )
    settled = set(aged.stdout.split("\0"))
    chosen = [path for path in differing if path in settled]
    what, octets = f"copying {tree.title} ahead, while the mailbox serves", trees.octets(there, chosen)
    log(what)
    count = _counter(log, what, octets)
    streams.send(source, target, (tree.source, tree.target), chosen, count=count, vanishing=True)


def whole(source: SshRunner, target: SshRunner, tree: Tree, log: Log) -> int:
    """Make the new folder equal to that of the server that has ended; returns how many entries are equal by SHA-256.

    Raises `TailwartError` when they differ afterwards.
    """
    _own_root(source, target, tree)
    there = _list(source, tree.source, tree.skip, hashed=True)
    differing = trees.difference(there, _list(target, tree.target, tree.skip, hashed=True))
    if differing.remove:
        script = f"cd {shlex.quote(tree.target)} && xargs -0r rm -rf --"
        target(script, stdin="".join(f"./{path}\0" for path in differing.remove), timeout=600)
    if differing.send:
        log(f"copying {tree.title}: {len(differing.send)} of {len(there)} entries")
    streams.send(source, target, (tree.source, tree.target), differing.send)
    if wrong := trees.unequal(there, _list(target, tree.target, tree.skip, hashed=True)):
        raise TailwartError(
            f"{tree.title} is not the same on both hosts",
            seen=", ".join(wrong[:5]),
            expected="every file with its digest, owner and mode",
            remedy="look at the new host's disk, then run this again",
        )
    return len(there)


def history(source: SshRunner, target: SshRunner) -> None:
    """What the old host remembers of its deploys."""
    said = source(f"cat {_HISTORY} 2>/dev/null || :", timeout=60).stdout
    if said:
        hostfiles.write(target, [HostFile(_HISTORY, said, "0600")])


def _own_root(source: SshRunner, target: SshRunner, tree: Tree) -> None:
    said = source(f"stat -c '%u:%g %a' {shlex.quote(tree.source)}", timeout=60).stdout.split()
    if len(said) == 2:
        owner, mode = said
        path = shlex.quote(tree.target)
        target(f"chown {shlex.quote(owner)} {path} && chmod {shlex.quote(mode)} {path}", timeout=60)


def _list(run: SshRunner, root: str, skip: tuple[str, ...], *, hashed: bool) -> dict[str, trees.Entry]:
    done = run(trees.listing(root, skip, hashed=hashed), timeout=_SECONDS)
    if not done.ok and hashed:
        raise TailwartError(
            f"{root} cannot be read", seen=done.stderr.strip()[-300:], remedy="look at the disk of that host"
        )
    return trees.parse(done.stdout)


def _counter(log: Log, what: str, total: int) -> Callable[[int], None]:
    """Tells how far a copy is, whenever that is one percent more."""
    said = 0

    def count(sent: int) -> None:
        nonlocal said
        percent = min(sent * 100 // max(total, 1), 100)
        if percent > said:
            said = percent
            log(f"{what}: {percent} % ({_megabytes(min(sent, total))} of {_megabytes(total)})")

    return count


def _megabytes(octets: int) -> str:
    return f"{octets / 1e6:.1f} MB"
