"""The plan that brings a zone back to a snapshot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tailwart.dns.desired import Desired
from tailwart.dns.ownership import Ledger, Ownership, recovered
from tailwart.dns.zoneplan import Sides, ZonePlan, assemble, beside
from tailwart.providers.record import Record, by_key


def restore(
    desired: Desired,
    live: Iterable[Record],
    ledger: Ledger,
    snapshot: Iterable[Record],
    *,
    ttl: range,
    keeps_strings: bool,
) -> ZonePlan:
    """Every record of the snapshot, and nothing that is managed or that a run of ours published and it does not hold.

    That needs no mail server: what was published is in the ledger and in the zone's own mark. Foreign records that came
    after the snapshot stay; ACME names, the provider's own groups and what a server generates are left as they are.
    ``ttl`` are the seconds that the provider takes of a record that is written, ``keeps_strings`` says whether it keeps
    where the strings of a TXT record are cut.
    """
    live, snapshot = tuple(sorted(live)), tuple(snapshot)
    ledger = recovered(ledger, live, desired.intent.owner)
    ownership = Ownership(desired, ledger)
    published = frozenset(filter(ownership.published, live))
    managed = [entry for entry in live if entry in published or ownership.manages(entry)]
    wanted = [entry for entry in snapshot if ownership.may_touch(entry)]
    if not keeps_strings:
        wanted = [replace(entry, cuts=()) for entry in wanted]
    mine = {entry.key for entry in (*managed, *wanted)}
    foreign = tuple(entry for entry in live if entry.key not in mine)
    here = by_key(live)
    before = {entry.key for entry in snapshot}
    later = tuple(entry for entry in foreign if entry.key not in before)
    saved, changed = {}, []
    for entry in wanted:
        shared = beside(entry, later)
        if entry.key not in here and shared.ttl not in ttl:
            shared = shared.with_ttl(min(max(shared.ttl, ttl.start), ttl.stop - 1))
        elif entry.key in here and shared.ttl not in ttl:
            shared = shared.with_ttl(here[entry.key].ttl)
        if shared.ttl != entry.ttl:
            changed.append(f"{entry.name} {entry.type} gets the TTL {shared.ttl}, not {entry.ttl} as in the snapshot")
        saved[entry.key] = shared
    kept = Ledger(ledger.records & frozenset(saved), ledger.spf, ledger.others)
    sides = Sides(desired.intent.zone, live, tuple(managed), foreign, published)
    plan = assemble(sides, saved, kept, ownership)
    notes = (*changed[:5], *([f"and {len(changed) - 5} more TTLs that cannot be as they were"] if changed[5:] else []))
    return replace(plan, restoring=True, plan=replace(plan.plan, warnings=notes))
