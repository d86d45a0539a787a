"""Records of ours that take up what the zone's owner has at the same place: SPF by its terms, DMARC by its step."""

from __future__ import annotations

from tailwart.dns import dmarc, spf
from tailwart.dns.desired import Desired
from tailwart.dns.ownership import Ledger, Ownership, is_spf, purpose, stale_spf_terms
from tailwart.providers.record import Record, record


def merged(entry: Record, live: tuple[Record, ...], ownership: Ownership, ledger: Ledger, desired: Desired) -> Record:
    """An SPF record with the terms that the zone's owner has beside ours (lesson 14: merged, never doubled)."""
    if not is_spf(entry):
        return entry
    here = [other for other in live if other.name == entry.name and is_spf(other)]
    owners = [other.value for other in here if ownership.may_touch(other)]
    removals = {*stale_spf_terms(ledger, entry.name, entry.value), *desired.intent.overrides.spf_remove}
    result = spf.merge([entry.value, *owners], removals=removals)
    # Terms in another order say the same: what stands there already is not written again.
    for text in owners:
        if spf.same_terms(text) == spf.same_terms(result):
            result = text
            break
    return record(desired.intent.zone, entry.name, "TXT", result, entry.ttl)


def own_terms(entry: Record, result: str, live: tuple[Record, ...], ledger: Ledger) -> tuple[str, ...]:
    """The SPF terms of ``result`` that go when they are not desired any more; what the owner had before us is his."""
    texts = [other.value for other in live if other.name == entry.name and is_spf(other)]
    before = {term for text in texts for term in spf.same_terms(text)}
    known = set(ledger.spf.get(entry.name, ()))
    return tuple(
        sorted(
            term for term in spf.same_terms(entry.value) & spf.same_terms(result) if term in known or term not in before
        )
    )


def at_step(entry: Record, live: tuple[Record, ...], ledger: Ledger, desired: Desired) -> Record:
    """A DMARC record at the step that is asked for, else where the domain stands; an owner's own one stays."""
    intent = desired.intent
    if purpose(entry) != "dmarc" or entry.name != dmarc.NAME or entry.rrset in desired.chosen:
        return entry
    standing = [other.value for other in live if other.name == entry.name and purpose(other) == "dmarc"]
    own = [value for name, rtype, value in ledger.records if (name, rtype) == entry.rrset and dmarc.is_dmarc(value)]
    text = dmarc.merged(entry.value, standing, own=own, asked=intent.overrides.dmarc_step(intent.zone))
    return record(intent.zone, entry.name, "TXT", text, entry.ttl)


def is_owners_dmarc(entry: Record, desired: Desired) -> bool:
    """Whether a DMARC record is the owner's own text, kept as it is: the next run must not take it for ours."""
    if purpose(entry) != "dmarc" or entry.name != dmarc.NAME or entry.rrset in desired.chosen:
        return False
    recommended = [other.value for other in desired.records if other.rrset == entry.rrset and purpose(other) == "dmarc"]
    return entry.value not in {dmarc.at_step(text, dmarc.step(entry.value)) for text in recommended}
