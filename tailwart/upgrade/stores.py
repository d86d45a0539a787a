"""Newer packages of PostgreSQL and Redis on a backends host of ours, with the same way back as an image has.

The packages to come are fetched, and those of now built again from their files, while everything serves. Then they are
installed; the server has to run with its files of this deploy, let the mailbox in over the tailnet, and the mailbox has
to deliver a message. If not, the packages of before are back by themselves, and held: nothing installs the others again
until the next `tailwart upgrade --stores`. A run that dies leaves a note, with which the next one goes on.

Within a major version every release reads the files of every other, so the data stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from tailwart.backends.plan import BackendsPlan
from tailwart.backends.servers import Server
from tailwart.errors import TailwartError
from tailwart.hosts.files import HostFile
from tailwart.operations import hostfiles
from tailwart.operations.remote import gather
from tailwart.runner import Runner
from tailwart.upgrade import packages, watching
from tailwart.upgrade.packages import Note, Package, Store

Log = Callable[[str], None]
Prove = Callable[[], None]
Held = Callable[[], AbstractContextManager[None]]
_SECONDS = 60  # within which a server that was started has to serve
_APT = 1800.0


def stores(plan: BackendsPlan) -> list[tuple[Store, Server]]:
    """The servers of these settings that come in packages, in the order in which they are upgraded."""
    found: list[tuple[Store, Server]] = []
    if plan.postgres:
        store = Store("PostgreSQL", "^postgresql-[0-9]+$", "postgresql@*.service", plan.postgres.port)
        found.append((store, plan.postgres))
    if plan.redis:
        server = plan.redis
        data = f"/var/lib/{server.program}"
        found.append((Store(server.title, f"^{server.program}$", server.unit, server.port, data), server))
    return found


def newer(run: Runner, store: Store) -> tuple[Package, ...]:
    """What the archive has newer for a store; raises `TailwartError` when it cannot be asked, or may not be taken."""
    done = run(packages.ask(store), timeout=_APT)
    if not done.ok:
        raise _failed(f"the archive cannot be asked for a newer {store.title}; nothing was changed", done.stderr)
    return packages.newer(store, done.stdout)


def unproven(run: Runner) -> Note | None:
    """Packages that an earlier run has exchanged, and not proven."""
    return packages.parse(run(f"cat {packages.NOTE} 2>/dev/null || :", timeout=60).stdout)


def upgrade(
    run: Runner, store: Store, server: Server, found: tuple[Package, ...], *, held: Held, prove: Prove, log: Log
) -> float:
    """Exchange the packages and prove them; returns the seconds in which the store did not answer.

    ``held`` surrounds the exchange: mail waits meanwhile. Raises `TailwartError` when they were taken back.
    """
    note = Note(store.title, found)
    log(f"{note.describe}: fetching, and keeping the packages of now")
    for script in (packages.keep(store, found), packages.fetch(found)):
        done = run(script, timeout=_APT)
        if not done.ok:
            raise _failed(f"{note.describe} cannot be prepared; what serves still does", done.stderr)
    hostfiles.write(run, [HostFile(packages.NOTE, note.dump(), "0600")])
    watching.begin(run, f"timeout 2 bash -c 'exec 3<>/dev/tcp/127.0.0.1/{store.port}'")
    log(f"{note.describe}: installing; mail waits in the queue")
    _exchange(run, store, server, note, held=held, prove=prove)
    return watching.end(run)


def conclude(run: Runner, store: Store, server: Server, note: Note, *, prove: Prove) -> None:
    """Prove what an earlier run has exchanged and not proven, or take it back; raises `TailwartError` then."""
    _exchange(run, store, server, note, held=nullcontext, prove=prove)


def _exchange(run: Runner, store: Store, server: Server, note: Note, *, held: Held, prove: Prove) -> None:
    try:
        with held():
            done = run(packages.swap(store, note.packages), timeout=_APT)
            if not done.ok:
                raise _failed(f"{note.describe} cannot be installed", done.stderr)
            serves(run, server)
        prove()
    except (TailwartError, TimeoutError) as problem:
        raise take_back(run, store, server, note, problem) from problem
    run(f"rm -f {packages.NOTE}", timeout=60)


def serves(run: Runner, server: Server) -> None:
    """Wait until the server runs with the files of this deploy; raises `TailwartError` with what it says instead."""
    left = ["it was not asked"]
    for _ in range(_SECONDS):
        report = gather(run, server.watch)
        left = server.drift(report)
        if not left:
            return
        run("sleep 1", timeout=30)
    said = run(server.journal(report), timeout=60).stdout.strip().splitlines()
    raise TailwartError(
        f"{server.title} does not serve",
        seen="\n".join([*left, *said[-4:]]),
        expected=f"its service, running within {_SECONDS} s with the files of this deploy",
    )


def take_back(run: Runner, store: Store, server: Server, note: Note, problem: Exception) -> TailwartError:
    """Put the packages of before back; returns the error that says how that ended."""
    cause = f"{problem.what}\n{problem.seen}" if isinstance(problem, TailwartError) else f"no end in time: {problem}"
    done = run(packages.back(store, note.packages), timeout=_APT)
    try:
        if not done.ok:
            raise _failed("the packages of before cannot be installed", done.stderr)
        serves(run, server)
    except TailwartError as second:
        return TailwartError(
            f"{note.describe} failed, and {note.packages[0].before} does not come up either",
            seen=f"{cause}\n{second.what}\n{second.seen}".strip(),
            expected=f"the packages in {packages.KEPT} installed, and their server running",
            remedy=f"look at `journalctl -u '{store.unit}'` on the backends host; senders keep their mail meanwhile",
        )
    run(f"rm -f {packages.NOTE}", timeout=60)
    names = " ".join(item.name for item in note.packages)
    return TailwartError(
        f"{note.describe} failed and was taken back; {note.packages[0].before} serves again",
        seen=f"nobody answered for {watching.end(run):.1f} s; the data is as it was left\n{cause}".strip(),
        expected="a server that runs with the files of this deploy, and a message that arrives",
        remedy=f"the packages are held ({names}): `tailwart upgrade --stores` tries the newer ones again",
    )


def _failed(what: str, said: str) -> TailwartError:
    return TailwartError(
        what,
        seen="\n".join(said.strip().splitlines()[-4:]) or "no output",
        expected="apt and dpkg on the backends host, with room and an archive that answers",
        remedy="look at `apt-get update` and `df -h` on the backends host, then run this again",
    )
