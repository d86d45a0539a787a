"""`dns_records` in the place of SPF or DMARC: refused, unless the owner says that it is meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tailwart.dns import dmarc, spf
from tailwart.dns.desired import Desired
from tailwart.dns.ownership import purpose
from tailwart.errors import TailwartError
from tailwart.providers.record import APEX, Record


def refusals(desired: Desired, live: Iterable[Record]) -> tuple[TailwartError, ...]:
    """Why the owner's own record sets may not replace what the mail system needs at their names."""
    intent = desired.intent
    present = list(live)
    found: list[TailwartError] = []
    for name, rtype in sorted(desired.chosen):
        if rtype != "TXT" or intent.overrides.allows_replacing(intent.zone, name, rtype, main=intent.main):
            continue
        own = [entry for entry in desired.records if entry.rrset == (name, rtype)]
        standing = [entry for entry in present if entry.rrset == (name, rtype)]
        found += (_refusal(desired, name, lost) for lost in _lost(desired, name, own, standing))
    return tuple(found)


def _lost(desired: Desired, name: str, own: list[Record], standing: list[Record]) -> Iterator[str]:
    intent = desired.intent
    expected = {purpose(entry) for entry in standing}
    if name == APEX or (name == "mail" and intent.zone == intent.main):
        expected.add("spf")
    if name == dmarc.NAME:
        expected.add("dmarc")
    here = {purpose(entry) for entry in own}
    for kind in ("spf", "dmarc"):
        if kind in expected and kind not in here:
            yield f"no {kind.upper()} record would be left there"
    terms = {term for entry in own if purpose(entry) == "spf" for term in spf.same_terms(entry.value)}
    if "spf" in here and name == APEX:
        needed = [term for term in intent.spf_terms if not spf.same_terms(f"{spf.VERSION} {term}") <= terms]
        if needed:
            yield f"its SPF lacks {', '.join(needed)}, and what is sent from there fails"


def _refusal(desired: Desired, name: str, lost: str) -> TailwartError:
    return TailwartError(
        f'dns_records: "{name} TXT" of {desired.intent.zone} replaces a record that mail needs',
        seen=lost,
        expected="the whole record set, as dns_records replaces all of it",
        remedy="add that record to the list; SPF terms alone belong into dns_spf, the DMARC policy into dns_dmarc, and "
        f'what you publish by other means stays anyway. Or allow it: dns_allow_replacing = ["{name} TXT"].',
    )
