"""Carry a zone plan out: read once more, snapshot, put the new, delete the old, read back, ask the servers.

Killed anywhere, the zone holds at least what it held: deletes come last. The ledger is widened before the first write,
so that the next run still knows every record of this one as ours.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tailwart.dns.archive import Archive
from tailwart.dns.authority import locate, wait_until_served
from tailwart.dns.ownership import Ledger
from tailwart.dns.readback import Clock, read_back, unmoved
from tailwart.dns.zoneplan import ZonePlan
from tailwart.providers.definition import Notify, Provider
from tailwart.providers.record import Record

_CLOCK = Clock(time.monotonic, time.sleep)
WAIT_SECONDS = 180.0
"""How long the authoritative servers may take to serve what the provider confirmed."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done: the snapshot from before, and what could not be verified."""

    snapshot: Path
    warnings: tuple[str, ...] = ()


def apply(
    plan: ZonePlan,
    provider: Provider,
    archive: Archive,
    *,
    nameservers: Iterable[str],
    notify: Notify,
    wait: float = WAIT_SECONDS,
    clock: Clock = _CLOCK,
) -> Applied:
    """Write one zone. Raises `TailwartError`; whatever was done by then, another run finishes it."""
    plan = unmoved(plan, provider.read(plan.zone))
    snapshot = archive.save(plan.zone, plan.live)
    notify(f"{plan.zone}: snapshot in {snapshot}")
    before = archive.ledger(plan.zone)
    archive.remember(plan.zone, _widened(before, plan.ours))
    provider.change(plan.zone, plan.puts, plan.deletes)
    notify(f"{plan.zone}: {len(plan.puts)} written, {len(plan.deletes)} deleted; reading back")
    read_back(plan, provider, snapshot, notify, clock)
    archive.remember(plan.zone, plan.ours if plan.complete else _widened(before, plan.ours))
    servers, problems = locate(nameservers)
    gone = [entry for entry in plan.deletes if not _from_wildcard(entry, plan)]
    unheard = wait_until_served(servers, plan.zone, plan.puts, gone, seconds=wait, notify=notify)
    return Applied(snapshot, (*problems, *unheard))


def _from_wildcard(gone: Record, plan: ZonePlan) -> bool:
    """Whether a wildcard of the zone still answers with a deleted record's own value (RFC 4592)."""
    final = plan.expected
    labels = gone.name.split(".")
    above = [".".join(["*", *labels[cut:]]) for cut in range(1, len(labels) + 1)]
    return any((name, gone.type, gone.value) in final for name in above)


def _widened(before: Ledger, ours: Ledger) -> Ledger:
    terms = {
        name: tuple(sorted({*before.spf.get(name, ()), *ours.spf.get(name, ())})) for name in {*before.spf, *ours.spf}
    }
    return Ledger(before.records | ours.records, terms)
