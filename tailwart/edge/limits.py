"""The operation that puts the limits per client address in force."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

from pyinfra.api.command import FunctionCommand
from pyinfra.context import ctx_host

from tailwart.edge import door as doors
from tailwart.edge.door import Door
from tailwart.errors import TailwartError
from tailwart.facts.host import observe
from tailwart.hosts.files import pending
from tailwart.hosts.watch import Watch
from tailwart.operations import hostfiles
from tailwart.operations.guard import operation
from tailwart.operations.progress import announce
from tailwart.operations.remote import command, gather
from tailwart.runner import Runner


@operation()
def limit_clients(door: Door, watch: Watch) -> Generator[FunctionCommand, None, None]:
    """The kernel holds the limits, now and after a reboot; without any limit, nothing of them is left."""
    host = ctx_host.get()
    report = observe(host, watch)
    reasons = doors.drift(door, report)
    if not reasons:
        host.noop("up to date" if door.limited else "EDGE_CONNECTIONS and EDGE_RATE are 0: no limits")
        return
    announce(host, "; ".join(reasons))
    if host.state.config.DIFF:
        hostfiles.show(host, report, pending(report, door.files)[0])
    yield command(host, partial(enforce, door=door), "limits per client address")


def enforce(run: Runner, door: Door) -> None:
    """Load the rules, or remove them; raises `TailwartError` with what nft said."""
    if not door.limited:
        run(doors.REMOVE, timeout=60)
        return
    if doors.needs_nft(gather(run, door.watch)):
        run(f"{doors.INSTALL} >&2", timeout=900)
    hostfiles.write(run, door.files)
    result = run(doors.START, timeout=60)
    left = doors.drift(door, gather(run, door.watch))
    if result.ok and not left:
        return
    journal = run(f"journalctl -n 5 -o cat --no-pager -u {doors.UNIT}", timeout=60)
    raise TailwartError(
        "the limits per client address cannot be loaded; the edge serves without them",
        seen="\n".join([*left, *journal.stdout.strip().splitlines()[-5:]]),
        expected="nftables with sets and connection counts (nft_connlimit) in the host's kernel",
        remedy="a virtual server that shares its host's kernel may lack them: set EDGE_CONNECTIONS=0 and EDGE_RATE=0",
    )
