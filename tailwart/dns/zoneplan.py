"""From the desired and the live zone to what is written, and to the plan that people read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tailwart.dns import dmarc, marks
from tailwart.dns.desired import Desired
from tailwart.dns.merging import at_step, is_owners_dmarc, merged, own_terms
from tailwart.dns.ownership import Ledger, Ownership, Slot, is_spf, purpose, recovered, slot
from tailwart.dns.replacing import refusals
from tailwart.errors import TailwartError
from tailwart.plan.model import Action, Change, FieldChange, Plan
from tailwart.providers.record import Key, Record, by_key


@dataclass(frozen=True, slots=True)
class ZonePlan:
    """What one zone needs. ``puts`` and ``deletes`` are whole records; ``managed`` counts the live records under
    management, ``ours`` is what the ledger will hold afterwards, ``lost`` the deletions that nothing replaces and no
    rule explains, ``refusals`` why the owner's own settings may not be carried out. ``restoring``: the zone is to be
    what a snapshot says, right or wrong.
    """

    zone: str
    live: tuple[Record, ...]
    puts: tuple[Record, ...]
    deletes: tuple[Record, ...]
    managed: int
    lost: tuple[Record, ...]
    foreign: tuple[Record, ...]
    ours: Ledger
    plan: Plan
    complete: bool = True
    restoring: bool = False
    refusals: tuple[TailwartError, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.puts or self.deletes)

    @property
    def expected(self) -> dict[Key, Record]:
        """The zone after the change."""
        after = by_key(self.live)
        after.update(by_key(self.puts))
        for entry in self.deletes:
            after.pop(entry.key, None)
        return after

    @property
    def final(self) -> tuple[Record, ...]:
        """The records after the change."""
        return tuple(self.expected.values())


def compare(desired: Desired, live: Iterable[Record], ledger: Ledger) -> ZonePlan:
    """The plan that brings a live zone to the desired one, foreign records untouched."""
    zone = desired.intent.zone
    live = tuple(sorted(live))
    ledger = recovered(ledger, live, desired.intent.owner)
    ownership = Ownership(desired, ledger)
    managed = [entry for entry in live if ownership.manages(entry)]
    taken_up = by_key(
        at_step(merged(entry, live, ownership, ledger, desired), live, ledger, desired) for entry in desired.records
    )
    mine = {entry.key for entry in managed} | set(taken_up)
    foreign = tuple(entry for entry in live if entry.key not in mine)
    here = by_key(live)
    # Where the strings of a text are cut is its owner's business, as long as the text is right.
    records = by_key(
        replace(beside(entry, foreign), cuts=here[entry.key].cuts if entry.key in here else ())
        for entry in taken_up.values()
    )
    results = {entry.name: entry.value for entry in taken_up.values() if is_spf(entry)}
    terms = {e.name: own_terms(e, results[e.name], live, ledger) for e in desired.records if is_spf(e)}
    sides = Sides(zone, live, tuple(managed), foreign, frozenset(filter(ownership.published, live)))
    lingering = {entry.key for entry in live if ownership.lingers(entry)}
    theirs = {entry.key for entry in records.values() if is_owners_dmarc(entry, desired)}
    ours = Ledger((frozenset(records) | lingering) - theirs - ledger.others, terms, ledger.others)
    plan = assemble(
        sides, records | by_key(beside(entry, foreign) for entry in _mark(desired, ours, sides)), ours, ownership
    )
    # A record that a rule withholds is no accident: it does not count against the share of deletions that is refused.
    lost = tuple(entry for entry in plan.lost if entry.rrset not in desired.withheld)
    warnings = (
        *(f"not known: {text}" for text in desired.missing),
        *desired.warnings,
        *_notes(plan.puts, plan.deletes),
        *(_lingering(entry) for entry in live if ownership.lingers(entry)),
    )
    return replace(
        plan,
        plan=replace(plan.plan, warnings=warnings),
        complete=desired.complete,
        lost=lost,
        refusals=refusals(desired, live),
    )


def _mark(desired: Desired, ours: Ledger, sides: Sides) -> Iterable[Record]:
    """The zone's own note of what is ours, unless the owner wants none (`dns_exclude`)."""
    intent = desired.intent
    if not intent.owner or intent.overrides.excludes(intent.zone, marks.NAME, "TXT", main=intent.main):
        return
    # What is only unknown now (the mail server cannot be asked) was ours before and still is.
    kept = frozenset() if desired.complete else frozenset(entry.key for entry in sides.published)
    terms = ((name, term) for name, own in ours.spf.items() for term in own)
    keys = {key for key in ours.records | kept if key[0] != marks.NAME}
    yield marks.render(intent.zone, intent.owner, keys, terms, intent.ttl)


@dataclass(frozen=True, slots=True)
class Sides:
    """A live zone, and its parts: what is under management now, what is foreign, and what an earlier run published.

    The last are not under management while the mail server cannot be asked, but they are not foreign either.
    """

    zone: str
    live: tuple[Record, ...]
    managed: tuple[Record, ...]
    foreign: tuple[Record, ...]
    published: frozenset[Record]


def assemble(sides: Sides, desired: dict[Key, Record], ours: Ledger, ownership: Ownership) -> ZonePlan:
    """The plan that makes ``desired`` of what is managed."""
    present = by_key(sides.live)
    puts = tuple(entry for key, entry in desired.items() if _differs(present.get(key), entry))
    deletes = tuple(entry for entry in sides.managed if entry.key not in desired)
    pairs, lost = _pair(puts, deletes)
    changes = sorted(_changes(puts, deletes, present, pairs, ownership), key=lambda change: (change.name, change.kind))
    plan = Plan(plane=f"dns {sides.zone}", changes=tuple(changes), unmanaged=_unmanaged(sides))
    return ZonePlan(
        zone=sides.zone,
        live=sides.live,
        puts=puts,
        deletes=deletes,
        managed=len(sides.published.union(sides.managed)),
        lost=lost,
        foreign=sides.foreign,
        ours=ours,
        plan=plan,
    )


def _differs(present: Record | None, desired: Record) -> bool:
    # A locked record of the same value serves its purpose; the provider would not let us write it.
    return present is None or (not present.locked and (present.ttl, present.cuts) != (desired.ttl, desired.cuts))


def beside(entry: Record, foreign: tuple[Record, ...]) -> Record:
    """A record with the TTL of the foreign ones in its record set, which has only one (RFC 2181 §5.2)."""
    ttls = [other.ttl for other in foreign if other.rrset == entry.rrset]
    return entry.with_ttl(min(ttls)) if ttls else entry


def _pair(puts: tuple[Record, ...], deletes: tuple[Record, ...]) -> tuple[dict[Key, Record], tuple[Record, ...]]:
    """Which deleted record each put replaces, and the deletions that nothing makes up for."""
    free: dict[Slot, list[Record]] = defaultdict(list)
    for entry in deletes:
        free[slot(entry)].append(entry)
    pairs = {entry.key: free[slot(entry)].pop(0) for entry in puts if free[slot(entry)]}
    replaced = {entry.key for entry in pairs.values()}
    names = {entry.name for entry in puts}
    lost = tuple(
        entry
        for entry in deletes
        if entry.key not in replaced
        and not is_spf(entry)  # its terms live on in the merged record
        and not (entry.type == "CNAME" and entry.name in names)  # an alias gave way to addresses
    )
    return pairs, lost


def _changes(
    puts: tuple[Record, ...],
    deletes: tuple[Record, ...],
    present: dict[Key, Record],
    pairs: dict[Key, Record],
    ownership: Ownership,
) -> Iterable[Change]:
    for entry in puts:
        old = present.get(entry.key) or pairs.get(entry.key)
        if old is None:
            fields: tuple[FieldChange, ...] = (
                FieldChange("value", None, entry.value),
                FieldChange("ttl", None, entry.ttl),
            )
            yield Change(Action.CREATE, entry.type, entry.name, fields)
            continue
        pairs_of = (
            ("value", old.value, entry.value),
            ("ttl", old.ttl, entry.ttl),
            ("strings", list(old.cuts), list(entry.cuts)),
        )
        fields = tuple(FieldChange(path, was, new) for path, was, new in pairs_of if was != new)
        yield Change(Action.UPDATE, entry.type, entry.name, fields)
    replaced = {entry.key for entry in pairs.values()}
    for entry in deletes:
        if entry.key not in replaced:
            yield Change(
                Action.DELETE,
                entry.type,
                entry.name,
                (FieldChange("value", entry.value, None),),
                why=ownership.why_removed(entry),
            )


def _unmanaged(sides: Sides) -> tuple[str, ...]:
    """Foreign records for the reader: all of a small number, counts of a large one."""
    foreign = [entry for entry in sides.foreign if entry not in sides.published]
    if len(foreign) <= 20:
        return tuple(str(entry) for entry in foreign)
    counts: dict[str, int] = defaultdict(int)
    for entry in foreign:
        counts[entry.type] += 1
    return (f"{len(foreign)} records: " + ", ".join(f"{count} {rtype}" for rtype, count in sorted(counts.items())),)


def _notes(puts: tuple[Record, ...], deletes: tuple[Record, ...]) -> tuple[str, ...]:
    """What the owner should know before it is applied."""
    notes = []
    for new in (entry for entry in puts if purpose(entry) == "dmarc"):
        for old in (entry for entry in deletes if purpose(entry) == "dmarc" and entry.name == new.name):
            was, becomes = dmarc.step(old.value), dmarc.step(new.value)
            if was != becomes:
                notes.append(
                    f"DMARC policy of {new.name} changes from {was} to {becomes}; to keep yours, set "
                    f'dns_records = {{"{new.name} TXT": "{old.value}"}} in group_data/dns.py'
                )
    if any(entry.type == "CAA" for entry in puts):
        notes.append(
            "CAA binds certificates to the mail server's ACME account: another ACME client for names of this zone "
            "(such as an edge's web server) needs its account URI in dns_caa_account_uris"
        )
    return tuple(notes)


def _lingering(entry: Record) -> str:
    return (
        f"{entry.name}: the mail server does not name this DKIM key; it stays, since mail under way may be signed with "
        f'it. To remove it: dns_records = {{"{entry.name} TXT": []}} in group_data/dns.py'
    )
