"""Carry a zone plan out: snapshot, put the new, delete the old, read back, ask the authoritative servers.

Killed anywhere, the zone holds at least what it held: deletes come last. The ledger is widened before the first write,
so that the next run still knows every record of this one as ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tailwart.dns.archive import Archive
from tailwart.dns.authority import locate, wait_until_served
from tailwart.dns.ownership import Ledger, is_acme
from tailwart.dns.zoneplan import ZonePlan
from tailwart.errors import TailwartError
from tailwart.providers.definition import Notify, Provider
from tailwart.providers.record import Key, Record, by_key

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
) -> Applied:
    """Write one zone. Raises `TailwartError`; whatever was done by then, another run finishes it."""
    snapshot = archive.save(plan.zone, plan.live)
    notify(f"{plan.zone}: snapshot in {snapshot}")
    before = archive.ledger(plan.zone)
    archive.remember(plan.zone, _widened(before, plan.ours))
    provider.change(plan.zone, plan.puts, plan.deletes)
    notify(f"{plan.zone}: {len(plan.puts)} written, {len(plan.deletes)} deleted; reading back")
    verify(plan, provider.read(plan.zone), snapshot)
    archive.remember(plan.zone, plan.ours if plan.complete else _widened(before, plan.ours))
    servers, problems = locate(nameservers)
    unheard = wait_until_served(servers, plan.zone, plan.puts, plan.deletes, seconds=wait, notify=notify)
    return Applied(snapshot, (*problems, *unheard))


def verify(plan: ZonePlan, after: Iterable[Record], snapshot: Path) -> None:
    """Compare what the provider holds now with what the plan said, and stop at any difference (lesson 13)."""
    expected, found = plan.expected, by_key(after)
    removed = _relevant(set(expected) - set(found))
    added = _relevant(set(found) - set(expected))
    changed = [
        key
        for key in set(expected) & set(found)
        if not is_acme(key[0]) and expected[key].ttl != found[key].ttl and key in {entry.key for entry in plan.puts}
    ]
    if not (removed or added or changed):
        return
    parts = [
        f"REMOVED {_names(removed)}" if removed else "",
        f"ADDED {_names(added)}" if added else "",
        f"TTL {_names(changed)}" if changed else "",
    ]
    raise TailwartError(
        f"{plan.zone} is not what the plan said after the change",
        seen="; ".join(part for part in parts if part),
        expected=f"{len(expected)} records, found {len(found)}",
        lesson=13,
        remedy=f"read `tailwart dns plan`; somebody else may have edited the zone. From before: {snapshot} "
        "(`tailwart dns restore`). Running again goes on from what is there",
    )


def _widened(before: Ledger, ours: Ledger) -> Ledger:
    terms = {
        name: tuple(sorted({*before.spf.get(name, ()), *ours.spf.get(name, ())})) for name in {*before.spf, *ours.spf}
    }
    return Ledger(before.records | ours.records, terms)


def _relevant(keys: Iterable[Key]) -> list[Key]:
    """Differences that matter: Stalwart writes its ACME names whenever it likes."""
    return sorted(key for key in keys if not is_acme(key[0]))


def _names(keys: list[Key]) -> str:
    shown = [str(Record(*key)) for key in keys[:6]]
    return ", ".join(shown) + (f" and {len(keys) - 6} more" if len(keys) > 6 else "")
