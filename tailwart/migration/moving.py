"""The mailbox moves to another host while mail arrives: none is lost, none is doubled.

1. the new host gets engine, images, files, and what of the store does not change any more; the old one serves;
2. the edges hold new connections; what is on its way in ends; the queue is held; the old host stops, for good;
3. the rest is copied, and every file compared by its SHA-256; with it the sidecar's state, which is the node's name;
4. the new host starts behind a closed gate: nobody comes in, nothing goes out, until it is proven;
5. the gate opens, and whoever waited at the edges is served.

Up to the end of the fourth step the old host is as it was when it stopped, and starts again when anything fails. A run
that is killed leaves a journal on the old host; the same command goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tailwart.backup.restore import bring_sidecar_up, make_volumes
from tailwart.connectors.shell import SshRunner
from tailwart.edge import holding
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.hosts.project import ComposeProject
from tailwart.mailbox import names
from tailwart.migration import copying, gate, hosts, journal
from tailwart.migration.journal import Journal, Step
from tailwart.operations import engine, images
from tailwart.operations.compose import bring_up
from tailwart.runner import Runner
from tailwart.stalwart.accounts.directory import entries
from tailwart.stalwart.lifecycle.queue import Queue
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, stored_login
from tailwart.stalwart.protocol.kinds import KINDS
from tailwart.stalwart.settings.declaration import administrator_address
from tailwart.upgrade import proof

Log = Callable[[str], None]


@dataclass(slots=True)
class Move:
    """One move of one mailbox; ``edges`` by name. The hosts' turns are the caller's to take."""

    environment: Environment
    project: ComposeProject = field(repr=False)
    source: SshRunner
    target: SshRunner
    address: str
    edges: Mapping[str, Runner]
    log: Log
    held: list[str] = field(default_factory=list)
    closed_at: float = 0.0

    def check(self) -> Journal | None:
        """The journal of an interrupted move; raises `TailwartError` where the move cannot be made."""
        found = hosts.read_journal(self.source)
        if found is not None and found.target != self.address:
            raise TailwartError(
                f"the mailbox is on its way to another host, or has left this one: {found.target}",
                seen=f"{journal.PATH} on the old host",
                remedy=f"finish it with the same command for {found.target}, or give it up with --give-up; "
                "when it was finished long ago, MAILBOX_SSH is wrong",
            )
        if found is None:
            hosts.refuse_unready(self.source, self.project)
            hosts.refuse_foreign(self.target, hosts.size(self.source))
        return found

    def execute(self, found: Journal | None) -> float:
        """Move; returns the seconds in which mail waited. Raises `TailwartError` with the old host serving again."""
        if found is None:
            self._prepare()
        if found is None or found.step is Step.STOPPED:
            try:
                self.closed_at = time.monotonic()
                self._hold_edges()
                accounts = found.accounts if found else self._stop()
                self._copy()
                self._start(accounts)
            except BaseException as problem:
                raise self._taken_back(problem) from problem
            hosts.write_journal(self.source, Journal(self.address, Step.MOVED, accounts))
        gate.open_(self.target)
        waited = time.monotonic() - self.closed_at if self.closed_at else 0.0
        self.target(f"rm -f {journal.ARRIVING}", timeout=60)
        return waited

    def finish(self) -> None:
        """The edges are as before, and the old host knows that it was left for good."""
        # Whoever waited at an edge is dialled for now; one that is released lets go of those that still wait.
        self.target("sleep 5", timeout=30)
        self.release()
        hosts.write_journal(self.source, Journal(self.address, Step.DONE))

    def release(self) -> None:
        """Let go of the edges that hold connections."""
        for name in self.held:
            holding.release(self.edges[name])
        self.held = []

    def give_up(self) -> None:
        """The old host serves again; raises `TailwartError` when the new one may have taken mail already."""
        found = hosts.read_journal(self.source)
        if found is None or found.step is not Step.STOPPED:
            raise TailwartError(
                "there is nothing to give up",
                seen="no move has begun" if found is None else f"the mailbox serves on {found.target}",
                expected="a move that was interrupted before the new host served",
                remedy=""
                if found is None
                else "to go back, move again: MAILBOX_SSH names the new host, and the old one is the target",
            )
        self._back()

    def _prepare(self) -> None:
        self.log("preparing the new host: engine, images, files")
        engine.provide(self.target, ipv6_nat=True)
        hosts.arriving(self.target)
        images.fetch(self.target, str(self.environment.tailscale_image), "TAILSCALE_IMAGE")
        images.fetch(self.target, str(self.environment.stalwart_image), "STALWART_IMAGE")
        make_volumes(self.target, self.project)
        data, *_ = copying.folders(self.source, self.target, self.project)
        copying.ahead(self.source, self.target, data, self.log)

    def _hold_edges(self) -> None:
        for name, edge in self.edges.items():
            try:
                holding.hold(edge)
                self.held.append(name)
            except TailwartError as problem:
                self.log(f"! {name}: {problem.what}; senders there are refused and try again")

    def _stop(self) -> dict[str, int]:
        self.log("closing the mail ports; connections wait at the edges")
        self.closed_at = time.monotonic()
        gate.close(self.source, self.environment.mail_services.on, outgoing=False)
        if not gate.drain(self.source):
            self.log("a message is still on its way in: it is cut off, and its sender tries again")
        Queue(self.source, log=self.log).hold()
        accounts = _accounts(self.source)
        hosts.write_journal(self.source, Journal(self.address, Step.STOPPED, accounts))
        self.log("stopping the old host")
        hosts.stop(self.source)
        return accounts

    def _copy(self) -> None:
        hosts.remove_containers(self.target)
        self.log("copying what is left, and comparing")
        equal = sum(
            copying.whole(self.source, self.target, tree, self.log)
            for tree in copying.folders(self.source, self.target, self.project)
        )
        copying.history(self.source, self.target)
        self.log(f"{equal} files and folders are the same by SHA-256, owner and mode")

    def _start(self, accounts: Mapping[str, int]) -> None:
        services = self.environment.mail_services
        smarthost = self.environment.smarthost_port
        bring_sidecar_up(self.target, self.environment, self.project, self.log)
        gate.close(self.target, services.on, outgoing=True, smarthost=smarthost)
        self.log("starting the server behind closed ports")
        bring_up(self.target, self.project)
        if not gate.closed(self.target):
            raise TailwartError("the sidecar of the new host was recreated while it was to stay closed")
        proof.prove(
            self.target,
            services.public,
            administrator_address(self.environment),
            f"The mailbox has moved to {self.address}",
        )
        if less := journal.lost(accounts, _accounts(self.target)):
            raise TailwartError(
                "the new host does not hold what the old one held",
                seen="; ".join(less[:5]),
                expected="every account with the mail that it had",
                remedy="report this; the old host is as it was",
            )
        self.log(f"{len(accounts)} accounts, {sum(accounts.values())} bytes of mail, as before; a message has arrived")

    def _taken_back(self, problem: BaseException) -> TailwartError:
        cause = problem.what if isinstance(problem, TailwartError) else str(problem) or type(problem).__name__
        seen = problem.seen if isinstance(problem, TailwartError) else ""
        self.log(f"taking the move back: {cause}")
        try:
            self._back()
        except (TailwartError, TimeoutError) as second:
            return TailwartError(
                "the move failed, and the old host could not be started again",
                seen=f"{cause}\n{second}",
                expected="a connection to both hosts",
                remedy="run the same command again, which goes on; or `tailwart migrate-host --give-up`",
            )
        return TailwartError(
            f"the mailbox has not moved, and serves on the old host again: {cause}",
            seen=seen,
            expected="the same store, proven, on the new host",
            remedy="fix the error above, then run this again",
        )

    def _back(self) -> None:
        # The new one first: two sidecars of one name, and two servers on one store, are what must never be.
        hosts.remove_containers(self.target)
        if hosts.read_journal(self.source) is None:
            gate.open_(self.source)
            Queue(self.source, log=self.log).resume()
        else:
            hosts.start_again(self.source, self.project)
        self.release()


def _accounts(run: Runner) -> dict[str, int]:
    """Bytes of mail by address."""
    client = Client(ContainerTransport(run, stored_login(names.DIRECTORY), base=names.BASE))
    return {entry.address: entry.used_bytes for entry in entries(client.read([KINDS["Account"].read()]))}
