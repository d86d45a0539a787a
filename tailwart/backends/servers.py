"""Operations on a backends host of ours: packages, and servers whose files and running state are as declared."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import Protocol

from pyinfra.api.command import FunctionCommand
from pyinfra.context import ctx_host

from tailwart.backends import packages
from tailwart.errors import TailwartError
from tailwart.facts.host import observe
from tailwart.hosts.files import HostFile
from tailwart.hosts.report import HostReport
from tailwart.hosts.watch import Watch
from tailwart.operations import hostfiles
from tailwart.operations.guard import operation
from tailwart.operations.progress import announce
from tailwart.operations.remote import command, gather
from tailwart.runner import Runner


class Server(Protocol):
    """Something on the host with files of ours, compared with what it really runs with."""

    @property
    def title(self) -> str:
        """As people write it."""

    @property
    def watch(self) -> Watch:
        """The facts that it is compared with."""

    def files(self, report: HostReport) -> tuple[HostFile, ...]:
        """Its files on this host; raises `TailwartError` where the host cannot have them yet."""

    def drift(self, report: HostReport) -> list[str]:
        """Why it must be configured, in the operator's words; empty when it is up to date."""

    def activate(self, report: HostReport) -> str:
        """The shell script that makes the files count."""

    def journal(self, report: HostReport) -> str:
        """The command whose output says why it does not start."""


@operation()
def install(stores: Sequence[str], watch: Watch) -> Generator[FunctionCommand, None, None]:
    """The stores' packages are there; a server that somebody else has installed is refused."""
    host = ctx_host.get()
    needed = packages.missing(stores, observe(host, watch))
    if not needed:
        host.noop(f"{', '.join(stores)}: installed")
        return
    announce(host, f"installs {', '.join(needed)}")
    yield command(host, partial(_install, stores=stores), "install packages")


def _install(run: Runner, stores: Sequence[str]) -> None:
    watch = packages.watch(stores)
    needed = packages.missing(stores, gather(run, watch))
    result = run(packages.install(stores, needed), timeout=1800)
    left = packages.missing(stores, gather(run, watch)) if result.ok else needed
    if left:
        raise TailwartError(
            f"{', '.join(left)} could not be installed",
            seen="\n".join(result.stderr.strip().splitlines()[-4:]) or "apt-get said nothing",
            expected="apt-get with the archive of Debian or Ubuntu; valkey is in it from Debian 13 on",
            remedy="look at /etc/apt/sources.list.d and the host's network, then run the deploy again",
        )


@operation()
def configure(server: Server, watch: Watch) -> Generator[FunctionCommand, None, None]:
    """The server's files are in place, and it runs with them; it restarts only where it runs with others."""
    host = ctx_host.get()
    report = observe(host, watch)
    try:
        reasons = server.drift(report)
    except TailwartError as problem:
        # Not installed or not on the tailnet yet: the operations before this one see to that.
        reasons = [problem.what]
    if not reasons:
        host.noop(f"{server.title} is up to date")
        return
    announce(host, f"{server.title}: {'; '.join(reasons)}")
    yield command(host, partial(enforce, server=server), f"configure {server.title}")


def enforce(run: Runner, server: Server) -> None:
    """Write what differs, make it count, and verify; raises `TailwartError` with what the server says."""
    report = gather(run, server.watch)
    # All of them: one command, and a file that is as it should be is written again without any effect.
    hostfiles.write(run, server.files(report))
    result = run(server.activate(report), timeout=180)
    left = server.drift(gather(run, server.watch))
    if result.ok and not left:
        return
    said = run(server.journal(report), timeout=60)
    raise TailwartError(
        f"{server.title} is not as it should be after all steps",
        seen="\n".join([*left, *result.stderr.strip().splitlines()[-3:], *said.stdout.strip().splitlines()[-6:]]),
        expected="its service running with the files of this deploy",
        remedy="fix the error above on the host (another program on its port?), then run again",
    )
