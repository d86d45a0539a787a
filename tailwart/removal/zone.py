"""The records of this installation out of a zone; those of others stay, whatever they look like. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tailwart.dns import marks, spf
from tailwart.dns.desired import Desired
from tailwart.dns.ownership import Ledger, is_spf, recovered
from tailwart.dns.restoring import restore
from tailwart.dns.zoneplan import ZonePlan
from tailwart.providers.record import Record


def removal(desired: Desired, live: Iterable[Record], ledger: Ledger) -> ZonePlan:
    """The plan that deletes what was published from here, by the ledger and the mark, and keeps every other record."""
    live = tuple(live)
    owner = desired.intent.owner
    known = recovered(ledger, live, owner)
    kept = [entry for entry in live if not _ours(entry, known, owner)]
    # Complete: what only the mail server knows of is to go as well, and the ledger knows it.
    # What stays is written as it stands, so no limit of the provider's matters.
    return restore(replace(desired, complete=True), live, ledger, kept, ttl=range(2**31), keeps_strings=True)


def _ours(entry: Record, ledger: Ledger, owner: str) -> bool:
    if mark := marks.parse(entry):
        return mark.owner == owner
    if entry.key not in ledger.records:
        return False
    # A sender of somebody else's in the same SPF record must go on.
    return not is_spf(entry) or spf.same_terms(entry.value) <= _spf_terms(entry, ledger)


def _spf_terms(entry: Record, ledger: Ledger) -> set[str]:
    own = set(ledger.spf.get(entry.name, ()))
    # Every record ends with one.
    return own | {"all", "-all", "~all", "?all"}
