"""The chain of trust from the zone above (RFC 4035): DS, keys, signatures and how long they last; DANE only with it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dns.dnssec
import dns.exception
import dns.name
import dns.rdatatype
import dns.rrset

from tailwart.dns.authority import Server
from tailwart.dns.check.findings import Finding, ok, unknown, wrong
from tailwart.dns.check.queries import UnansweredError, ask_any, rrset
from tailwart.providers.record import APEX, absolute

AREA = "dnssec"
_SOON = 36 * 3600
"""Seconds before the end of a signature at which a working signer has long made a new one."""


@dataclass(frozen=True, slots=True)
class Chain:
    """What was found, and whether a validating resolver believes the zone; None where nobody could look."""

    findings: tuple[Finding, ...]
    secure: bool | None


def check(
    zone: str, servers: Sequence[Server], parents: Sequence[Server], names: Iterable[tuple[str, str]], now: float = 0
) -> Chain:
    """The chain to the zone's SOA, MX and to ``names`` (name, type). ``now``: seconds since 1970, else the clock's."""
    origin = dns.name.from_text(zone)
    try:
        keys_answer = ask_any(servers, origin, "DNSKEY", dnssec=True)
        ds_answer = ask_any(parents, origin, "DS", dnssec=True)
    except UnansweredError as error:
        return Chain((unknown(AREA, zone, f"cannot be looked at: {error}", required=False),), None)
    keys, trusted = rrset(keys_answer, origin, "DNSKEY"), rrset(ds_answer, origin, "DS")
    if keys is None and trusted is None:
        return Chain((ok(AREA, zone, "is not signed; DANE would need it", required=False),), False)
    if trusted is None:
        return Chain((_without_ds(zone, origin, keys),), False)
    if keys is None or not any(_matches(origin, key, ds) for key in keys for ds in trusted):
        return Chain((_stale_ds(zone, origin, keys),), False)
    found = list(_signatures(zone, origin, keys, keys_answer, servers=servers, names=names, now=now or time.time()))
    return Chain(tuple(found), not any(finding.fails for finding in found))


def _without_ds(zone: str, origin: dns.name.Name, keys: Any) -> Finding:
    return wrong(
        AREA,
        zone,
        "is signed, but the zone above has no DS record: nobody verifies it",
        remedy="add at the registrar (DNSSEC) one of the records below",
        paste=_ds_lines(origin, keys),
        required=False,
    )


def _stale_ds(zone: str, origin: dns.name.Name, keys: Any) -> Finding:
    remedy = "replace the DS records at the registrar by one of those below" if keys else "sign the zone again"
    return wrong(
        AREA,
        zone,
        "the zone above has a DS record that no key of the zone matches: resolvers that verify find nothing here",
        remedy=f"{remedy}, or remove the DS records at the registrar",
        paste=_ds_lines(origin, keys),
    )


def _ds_lines(origin: dns.name.Name, keys: Any) -> str:
    """The DS records of the zone's entry keys, as a registrar takes them (RFC 8624: SHA-256)."""
    entry = [key for key in keys or () if key.flags & 0x0001] or list(keys or ())
    return "\n".join(f"{origin} IN DS {dns.dnssec.make_ds(origin, key, 'SHA256')}" for key in entry)


def _matches(origin: dns.name.Name, key: Any, ds: Any) -> bool:
    try:
        return bool(dns.dnssec.make_ds(origin, key, dns.dnssec.DSDigest(ds.digest_type), validating=True) == ds)
    except (ValueError, dns.exception.DNSException):
        return False  # a digest that this library does not make


def _signatures(
    zone: str,
    origin: dns.name.Name,
    keys: dns.rrset.RRset,
    keys_answer: Any,
    *,
    servers: Sequence[Server],
    names: Iterable[tuple[str, str]],
    now: float,
) -> Iterator[Finding]:
    ends: list[int] = []
    broken: list[str] = []
    for name, rtype in (("", "DNSKEY"), ("", "SOA"), ("", "MX"), *names):
        owner = absolute(name or APEX, zone)
        try:
            answer = keys_answer if rtype == "DNSKEY" else ask_any(servers, owner, rtype, dnssec=True)
        except UnansweredError as error:
            yield unknown(AREA, f"{owner} {rtype}", str(error))
            continue
        records, signed = rrset(answer, owner, rtype), rrset(answer, owner, "RRSIG", rtype)
        if records is None:
            continue
        if signed is None or (why := _fault(records, signed, {origin: keys}, now)):
            reason = "has no signature" if signed is None else why
            broken.append(f"{owner.to_text(omit_final_dot=True)} {rtype} ({reason})")
            continue
        ends.append(max(each.expiration for each in signed if each.inception <= now))
    if broken:
        yield wrong(
            AREA,
            zone,
            f"signatures that do not hold: {', '.join(broken)}: resolvers that verify find nothing there",
            remedy="sign the zone again at the provider; until then remove the DS records at the registrar",
        )
    elif ends and min(ends) - now < _SOON:
        yield wrong(
            AREA,
            zone,
            f"the first signature ends in {max(0, (min(ends) - now) / 3600):.0f} hours, and no newer one is there",
            remedy="look whether the signer still runs; the provider makes new signatures days before",
            required=False,
        )
    elif ends:
        days = (min(ends) - now) / 86400
        yield ok(AREA, zone, f"DS, keys and signatures hold; the first ends in {days:.0f} days", required=False)


def _fault(records: dns.rrset.RRset, signed: Any, keys: Any, now: float) -> str:
    """Why no signature of a record set holds; empty when one does."""
    try:
        dns.dnssec.validate(records, signed, keys, now=now)
    except dns.exception.DNSException as error:
        if all(each.expiration < now for each in signed):
            return f"expired {(now - max(each.expiration for each in signed)) / 86400:.0f} days ago"
        return str(error) or type(error).__name__
    return ""


def dane(zone: str, secure: bool | None, announced: bool, *, asked: bool) -> Iterator[Finding]:
    """Whether TLSA records and the chain go together (RFC 7672 §2.2). ``asked``: `dns_tlsa` is on."""
    if secure is None:
        return
    if announced and not secure:
        yield wrong(
            "dane",
            zone,
            "has TLSA records in a zone that nobody can verify: senders ignore them",
            remedy="sign the zone at the provider, or set dns_tlsa = False in group_data/dns.py",
            required=False,
        )
    elif secure and not announced and not asked:
        yield wrong(
            "dane",
            zone,
            "is verifiable, but announces no DANE",
            remedy="set dns_tlsa = True in group_data/dns.py, then `tailwart dns apply`",
            required=False,
        )
