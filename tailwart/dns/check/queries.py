"""Single questions to single servers, with signatures and referrals: what a stub resolver does not show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset

from tailwart.dns.authority import TIMEOUT, Server
from tailwart.dns.check.resolving import texts

PORT = 53


class UnansweredError(Exception):
    """Nobody gave an answer that says anything; the text says who did what."""


def ask(server: Server, name: dns.name.Name, rtype: str, *, dnssec: bool = False) -> dns.message.Message:
    """One server's whole answer, without recursion. Raises `UnansweredError`."""
    query = dns.message.make_query(name, rtype, want_dnssec=dnssec, use_edns=0, payload=1232)
    query.flags &= ~dns.flags.RD
    try:
        try:
            reply, _ = dns.query.udp_with_fallback(query, server.address, port=server.port, timeout=TIMEOUT / 2)
        except dns.exception.Timeout:
            reply = dns.query.tcp(query, server.address, port=server.port, timeout=TIMEOUT)
    except (dns.exception.DNSException, OSError) as error:
        raise UnansweredError(f"{server.label} does not answer ({type(error).__name__})") from None
    if reply.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        raise UnansweredError(f"{server.label} answers {dns.rcode.to_text(reply.rcode())}")
    return reply


def ask_any(servers: Iterable[Server], name: dns.name.Name, rtype: str, *, dnssec: bool = False) -> dns.message.Message:
    """The first useful answer of several servers. Raises `UnansweredError` with what each of them did."""
    silent: list[str] = []
    for server in servers:
        try:
            return ask(server, name, rtype, dnssec=dnssec)
        except UnansweredError as error:
            silent.append(str(error))
    raise UnansweredError("; ".join(silent) or "there is no server to ask")


def rrset(reply: dns.message.Message, name: dns.name.Name, rtype: str, covers: str = "NONE") -> dns.rrset.RRset | None:
    """A record set of the answer section, or the signatures (`RRSIG`) that cover one."""
    kind, covered = dns.rdatatype.from_text(rtype), dns.rdatatype.from_text(covers)
    found = (each for each in reply.answer if each.name == name and each.rdtype == kind and each.covers == covered)
    return next(found, None)


def referral(reply: dns.message.Message, zone: dns.name.Name) -> set[str]:
    """The name servers that an answer names for a zone: a referral, or the zone's own NS records."""
    return {
        rdata.to_text().lower()
        for each in (*reply.answer, *reply.authority)
        if each.name == zone and each.rdtype == dns.rdatatype.NS
        for rdata in each
    }


def parents(zone: str, through: dns.resolver.Resolver) -> list[Server]:
    """The name servers of the zone above, one address each. Raises `UnansweredError`."""
    for parent in _above(dns.name.from_text(zone)):
        names = texts(through, parent, "NS")
        if names is None:
            raise UnansweredError(f"the resolver does not answer for the name servers of {parent}")
        if names:
            return list(addresses_of(names, through))
    raise UnansweredError(f"nobody knows the zone above {zone}")


def addresses_of(names: Sequence[str], through: dns.resolver.Resolver) -> Iterator[Server]:
    """One server per name that has an address."""
    for name in sorted(names):
        for rtype in ("A", "AAAA"):
            if found := texts(through, name, rtype):
                yield Server(name.rstrip("."), found[0], PORT)
                break


def _above(name: dns.name.Name) -> Iterator[dns.name.Name]:
    while name != dns.name.root:
        name = name.parent()
        yield name
