"""Names through recursive resolvers: what others get to see, caches included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

import dns.exception
import dns.name
import dns.resolver
import dns.reversename

from tailwart.dns.authority import Server
from tailwart.dns.check.findings import Finding, ok, unknown, wrong
from tailwart.dns.desired import Desired
from tailwart.dns.ownership import purpose
from tailwart.providers.record import Record, absolute, from_rdata

PUBLIC = ("1.1.1.1", "8.8.8.8", "9.9.9.9")
"""Resolvers of three operators that answer everybody."""

_LIFETIME = 4.0


def resolver(server: Server | None) -> dns.resolver.Resolver:
    """A resolver at one address; this machine's own without one. Never a cache of this process."""
    made = dns.resolver.Resolver(configure=server is None)
    if server is not None:
        made.nameservers = [server.address]
        made.port = server.port
    made.cache = None
    made.lifetime = _LIFETIME
    return made


def texts(through: dns.resolver.Resolver, name: str | dns.name.Name, rtype: str) -> list[str] | None:
    """The data of a record set; empty when there is none, None when nobody answered."""
    try:
        answer = through.resolve(name, rtype, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.DNSException, OSError):
        return None
    return [rdata.to_text() for rdata in answer]


def nameservers(through: dns.resolver.Resolver, zone: str) -> tuple[str, ...]:
    """The servers that a zone's NS records name; none where nobody answers."""
    return tuple(text.rstrip(".") for text in texts(through, f"{zone}.", "NS") or ())


def check_records(desired: Desired, server: Server) -> Finding:
    """Whether a resolver passes our records on; what is cached there may be older than the zone."""
    zone = desired.intent.zone
    through = resolver(server)
    subject = f"{zone} through {server.label}"
    missing: list[str] = []
    for rrset in sorted({entry.rrset for entry in desired.records}):
        found = _records(through, zone, rrset)
        if found is None:
            return unknown("resolvers", subject, "does not answer", required=False)
        for entry in desired.records:
            if entry.rrset == rrset and not _is_in(entry, found):
                missing.append(f"{absolute(entry.name, zone).to_text(omit_final_dot=True)} {entry.type}")
    if missing:
        return wrong(
            "resolvers",
            subject,
            "does not (yet) know " + ", ".join(missing[:6]) + (f" and {len(missing) - 6} more" if missing[6:] else ""),
            remedy=f"wait for its cache: up to {desired.intent.ttl} s after the change",
            required=False,
        )
    return ok("resolvers", subject, "knows all records", required=False)


def _is_in(entry: Record, found: list[Record]) -> bool:
    if purpose(entry) in {"spf", "dmarc"}:
        return any(purpose(other) == purpose(entry) for other in found)  # merged with the owner's own
    return any(other.key == entry.key for other in found)


def _records(through: dns.resolver.Resolver, zone: str, rrset: tuple[str, str]) -> list[Record] | None:
    name = absolute(rrset[0], zone)
    try:
        answer = through.resolve(name, rrset[1], search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.DNSException, OSError):
        return None
    return [from_rdata(zone, name, rdata, answer.rrset.ttl if answer.rrset else 0) for rdata in answer]


def check_reverse(
    addresses: Iterable[tuple[str, IPv4Address | IPv6Address, bool]], server: Server | None
) -> Iterator[Finding]:
    """PTR of each (who, address, required), and that its name leads back to the address (RFC 8601 `iprev`)."""
    through = resolver(server)
    for who, address, required in addresses:
        subject = f"{who} {address}"
        owner = dns.reversename.from_address(str(address))
        names = texts(through, owner, "PTR")
        if names is None:
            yield unknown("reverse", subject, "the resolver does not answer", required=required)
            continue
        if not names:
            yield wrong(
                "reverse",
                subject,
                "has no PTR record",
                remedy=f"ask whoever gave you the address for: {owner} IN PTR <name of the host>, a name whose "
                f"{_type(address)} record is {address}",
                required=required,
            )
            continue
        forward = _forward(through, names, address)
        if str(address) in forward:
            yield ok("reverse", subject, f"{', '.join(names)} leads back to it", required=required)
        else:
            yield wrong(
                "reverse",
                subject,
                f"its PTR {', '.join(names)} leads to {', '.join(forward) or 'nothing'}",
                remedy=f"add: {names[0]} IN {_type(address)} {address}",
                required=required,
            )


def _forward(through: dns.resolver.Resolver, names: Sequence[str], address: IPv4Address | IPv6Address) -> list[str]:
    return [text for name in names for text in texts(through, name, _type(address)) or []]


def _type(address: IPv4Address | IPv6Address) -> str:
    return "A" if address.version == 4 else "AAAA"
