"""Whether addresses stand on DNS blocklists (RFC 5782). Off by default: lists have terms that bind who asks them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import dns.resolver
import dns.reversename

from tailwart.dns.check.findings import Finding, ok, unknown, wrong
from tailwart.dns.check.resolving import texts

AREA = "blocklists"


@dataclass(frozen=True, slots=True)
class Blocklist:
    """One list: its zone, where an entry is lifted, and what its operator asks of those who query it."""

    zone: str
    lift: str
    terms: str


KNOWN = (
    Blocklist(
        "zen.spamhaus.org",
        "https://check.spamhaus.org",
        "free for small non-commercial use; not through public resolvers",
    ),
    Blocklist("bl.spamcop.net", "https://www.spamcop.net/bl.shtml", "free"),
    Blocklist(
        "b.barracudacentral.org", "https://www.barracudacentral.org/lookups", "free after registration of your resolver"
    ),
    Blocklist("psbl.surriel.com", "https://psbl.org", "free"),
    Blocklist("dnsbl.dronebl.org", "https://dronebl.org/lookup", "free"),
    Blocklist("bl.mailspike.net", "https://mailspike.io/ip_verify", "free for low volumes"),
)
"""What `--blocklists` asks; `--blocklist ZONE` asks others, or only some."""

Address = IPv4Address | IPv6Address


def chosen(zones: Iterable[str]) -> tuple[Blocklist, ...]:
    """The lists of these zones; one that is not known has its operator's terms to be looked up."""
    known = {each.zone: each for each in KNOWN}
    return tuple(known.get(zone, Blocklist(zone, f"the operator of {zone}", "not known")) for zone in zones)


def check(
    addresses: Iterable[tuple[str, Address]], lists: Sequence[Blocklist], through: dns.resolver.Resolver
) -> Iterator[Finding]:
    """One finding per list and address. A list that does not answer as RFC 5782 §5 demands is unknown, not clean."""
    asked = list(addresses)
    for each in lists:
        if why := _unusable(each, through):
            yield unknown(AREA, each.zone, why, remedy=f"its terms: {each.terms}", required=False)
            continue
        for who, address in asked:
            yield _judged(each, who, address, through)


def _unusable(each: Blocklist, through: dns.resolver.Resolver) -> str:
    """Why nothing can be learnt from a list: its test entry is missing, or it lists what nobody may list."""
    test, never = (texts(through, f"{reverse}.0.0.127.{each.zone}.", "A") for reverse in ("2", "1"))
    if test is None or never is None:
        return "does not answer"
    if refused := [code for code in test if code.startswith("127.255.255.")]:
        return f"refuses this resolver ({refused[0]})"
    if not test:
        return "does not answer this resolver's questions (its test entry 127.0.0.2 is missing)"
    return "lists everything (also 127.0.0.1): it is no list any more" if never else ""


def _judged(each: Blocklist, who: str, address: Address, through: dns.resolver.Resolver) -> Finding:
    subject = f"{who} {address} at {each.zone}"
    labels = dns.reversename.from_address(str(address)).labels
    # The name without `in-addr.arpa.` or `ip6.arpa.`, below the list's own zone.
    name = ".".join(label.decode("ascii") for label in labels[:-3]) + f".{each.zone}."
    codes = texts(through, name, "A")
    if codes is None:
        return unknown(AREA, subject, "does not answer", required=False)
    codes = [code for code in codes if code.startswith("127.")]
    if any(code.startswith("127.255.255.") for code in codes):
        return unknown(AREA, subject, f"refuses this resolver ({codes[0]})", remedy=each.terms, required=False)
    if not codes:
        return ok(AREA, subject, "is not listed", required=False)
    reasons = texts(through, name, "TXT") or []
    return wrong(
        AREA,
        subject,
        f"is listed ({', '.join(codes)})" + (f": {reasons[0][:160]}" if reasons else ""),
        remedy=f"find out why, then ask for removal: {each.lift}",
        required=False,
    )
