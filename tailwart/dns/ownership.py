"""Which records of a live zone are managed.

A zone is shared with everything else its owner does. Managed is only: a record set that we publish ourselves (a TXT
record only where its version tag is one of ours, so that other texts at the same name stay), the addresses of the
edges' names, DKIM keys with Stalwart's own selectors, and exactly those records that an earlier run published
(`Ledger`). Everything else is foreign. A DKIM key goes only when a later one of the server's has taken its place, or
when it is an ed25519 key beside RSA (lesson 15): mail under way is signed with it, and a server that does not name a
key for once has not retired it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from tailwart.dns import marks, spf
from tailwart.dns.desired import Desired, is_acme, is_dkim, is_ed25519
from tailwart.providers.record import APEX, GENERATED, Key, Record

ADDRESS_TYPES = ("A", "AAAA", "CNAME")

# Stalwart's default selector template v{version}-{algorithm}-{date-%Y%m%d}.
_STALWART_SELECTOR = re.compile(r"v(?P<version>\d+)-(?:rsa|ed25519)-(?P<date>\d{8})\._domainkey\Z")
_TAGGED = {
    "v=dmarc1": "dmarc",
    "v=stsv1": "mta-sts",
    "v=tlsrptv1": "tls-rpt",
    "v=uaac1": "autoconfig",
    "v=dkim1": "dkim",
}

Slot = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Ledger:
    """What earlier runs published in a zone: records exactly, and the SPF terms that were ours at each name.

    ``others`` are the live records that another installation's mark claims. What is lost with the file, the zone's own
    mark brings back (`recovered`); without either, records that nobody wants any more stay and are named foreign.
    """

    records: frozenset[Key] = frozenset()
    spf: dict[str, tuple[str, ...]] = field(default_factory=dict)
    others: frozenset[Key] = frozenset()


def recovered(ledger: Ledger, live: Iterable[Record], owner: str) -> Ledger:
    """The ledger with what the marks of a live zone say, ours and those of other installations."""
    records, terms, others = set(ledger.records), {name: set(own) for name, own in ledger.spf.items()}, set()
    present = list(live)
    for mark in marks.found(present):
        held = [entry for entry in present if mark.holds(entry.key)]
        if mark.owner != owner:
            others |= {entry.key for entry in held}
            continue
        records |= {entry.key for entry in held}
        for entry in filter(is_spf, present):
            own = {term for term in spf.same_terms(entry.value) if marks.digest(entry.name, term) in mark.terms}
            terms.setdefault(entry.name, set()).update(own)
    return Ledger(
        frozenset(records),
        {name: tuple(sorted(own)) for name, own in terms.items() if own},
        frozenset(others - records),
    )


def slot(entry: Record) -> Slot:
    """What a record competes for: name, type, and for TXT and CAA the purpose."""
    return (*entry.rrset, purpose(entry))


def purpose(entry: Record) -> str:
    """What a TXT record is there for, by its version tag; other texts and CAA values stand for themselves."""
    if entry.type == "CAA":
        return entry.value.lower()
    if entry.type != "TXT":
        return ""
    if is_spf(entry):
        return "spf"
    if mark := marks.parse(entry):
        return f"mark {mark.owner}"
    tag = entry.value.split(";", 1)[0].replace(" ", "").lower()
    if is_dkim(entry):
        return "dkim"
    return _TAGGED.get(tag) or f"text {entry.value}"


def is_spf(entry: Record) -> bool:
    """Whether a record is an SPF record (RFC 7208 §4.5)."""
    return entry.type == "TXT" and spf.is_spf(entry.value)


class Ownership:
    """Decides for one desired zone what of the live zone is under management."""

    def __init__(self, desired: Desired, ledger: Ledger) -> None:
        intent = desired.intent
        self._intent = intent
        self._complete = desired.complete
        self._ledger = ledger
        self._slots = {slot(entry) for entry in desired.records}
        self._unsure = {(name, "AAAA") for name in intent.edge_names} if intent.ipv6_unknown else set()
        self._replaced = set(intent.overrides.replacements(intent.zone, intent.main))
        types = [rtype for rtype in ADDRESS_TYPES if rtype != "AAAA" or not intent.ipv6_unknown]
        self._slots |= {(name, rtype, "") for name in intent.edge_names for rtype in types}
        if intent.owner:
            self._slots.add((marks.NAME, "TXT", f"mark {intent.owner}"))
        rsa = [entry.name for entry in desired.records if is_dkim(entry) and not is_ed25519(entry)]
        self._has_rsa = bool(rsa)
        self._newest = max(map(_made, rsa), default=())

    def manages(self, entry: Record) -> bool:
        """Whether a live record is managed: kept when it is desired, removed when not."""
        if not self.may_touch(entry):
            return False
        if slot(entry) in self._slots or (entry.rrset in self._replaced and not purpose(entry).startswith("text ")):
            return True
        if is_dkim(entry):
            return self._retired(entry)
        # Without the server's own text the kinds it alone knows are not unwanted, only unknown.
        if entry.rrset in self._unsure:
            return False
        return self._complete and entry.key in self._ledger.records

    def lingers(self, entry: Record) -> bool:
        """Whether a live record is a DKIM key of ours that the server does not name, and that stays all the same."""
        known = self._complete and not self._intent.server_publishes_dkim
        return known and is_dkim(entry) and self._ours(entry) and self.may_touch(entry) and not self.manages(entry)

    def _retired(self, entry: Record) -> bool:
        """Whether a DKIM key that is not desired has had its time."""
        if not self._complete or not self._has_rsa or not self._ours(entry):
            return False
        if is_ed25519(entry):
            return True
        # Stalwart takes the keys away itself that it has published itself.
        return not self._intent.server_publishes_dkim and () < _made(entry.name) < self._newest

    def _ours(self, entry: Record) -> bool:
        return bool(_STALWART_SELECTOR.match(entry.name)) or entry.key in self._ledger.records

    def published(self, entry: Record) -> bool:
        """Whether an earlier run published a live record, and it may still be ours."""
        return entry.key in self._ledger.records and self.may_touch(entry)

    def may_touch(self, entry: Record) -> bool:
        """False for ACME names, the zone's NS, what a server makes itself, what the provider alone changes, the owner
        excluded, or another installation published.
        """
        if entry.key in self._ledger.others:
            return False
        if entry.locked or is_acme(entry.name) or entry.type in GENERATED or entry.rrset == (APEX, "NS"):
            return False
        return not self._intent.overrides.excludes(self._intent.zone, *entry.rrset, main=self._intent.main)

    def why_removed(self, entry: Record) -> str:
        """The reason for a removal, for the plan."""
        if is_dkim(entry) and is_ed25519(entry):
            return "ed25519 beside RSA fails at large receivers (lesson 15)"
        if is_dkim(entry):
            return "not a key of the mail server any more"
        if entry.type == "AAAA" and self._intent.ipv6_withheld:
            return self._intent.ipv6_withheld
        if is_spf(entry):
            return "merged: two v=spf1 at one name are a permanent error (lesson 14)"
        if purpose(entry) == "dmarc":
            return "a second DMARC record makes receivers ignore both (RFC 7489 §6.6.3)"
        return "no longer desired"


def _made(name: str) -> tuple[int, ...]:
    """When a key was made, by Stalwart's selector: day and version; nothing for a selector of another form."""
    match = _STALWART_SELECTOR.match(name)
    return (int(match["date"]), int(match["version"])) if match else ()


def stale_spf_terms(ledger: Ledger, name: str, current: str) -> set[str]:
    """SPF terms at a name that were ours once and are not any more; the owner's own ones are not among them."""
    return set(ledger.spf.get(name, ())) - spf.same_terms(current)
