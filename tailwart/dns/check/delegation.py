"""The way to the zone: the parent's delegation, servers that answer for it, and one serial on all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import dns.flags
import dns.name
import dns.resolver

from tailwart.dns.authority import Server
from tailwart.dns.check.findings import Finding, ok, unknown, wrong
from tailwart.dns.check.queries import UnansweredError, addresses_of, ask, ask_any, referral, rrset

AREA = "delegation"


def check(
    zone: str, servers: Sequence[Server], parents: Sequence[Server], through: dns.resolver.Resolver | None
) -> Iterator[Finding]:
    """Findings about one zone. ``servers`` are those that the provider names, ``parents`` those of the zone above."""
    origin = dns.name.from_text(zone)
    try:
        own = referral(ask_any(servers, origin, "NS"), origin)
    except UnansweredError as error:
        yield unknown(AREA, zone, f"its name servers cannot be asked for it: {error}")
        return
    try:
        delegated = referral(ask_any(parents, origin, "NS"), origin)
    except UnansweredError as error:
        yield unknown(
            AREA, zone, f"the zone above cannot be asked: {error}", remedy="name its server: --parent ADDRESS"
        )
    else:
        yield _compared(zone, own, delegated)
        if through is not None and delegated == own:
            yield from _lame(zone, origin, sorted(delegated), through)
    yield from serials(zone, servers)


def _compared(zone: str, own: set[str], delegated: set[str]) -> Finding:
    if own == delegated:
        return ok(AREA, zone, f"leads to {', '.join(sorted(own))}, as the zone itself says")
    servers = ", ".join(name.rstrip(".") for name in sorted(own))
    if not delegated:
        return wrong(
            AREA,
            zone,
            "is not delegated: the zone above knows no name servers for it, so nobody finds any of its records",
            remedy=f"set at the registrar the name servers: {servers}",
            lesson=13,
        )
    return wrong(
        AREA,
        zone,
        f"the zone above leads to {', '.join(sorted(delegated))}, the provider's are {', '.join(sorted(own))}",
        remedy=f"set at the registrar exactly the name servers: {servers} (or move the zone to those it names)",
        # With a common server part of the world still gets right answers, with none all of it gets others' answers.
        required=not own & delegated,
        lesson=13,
    )


def _lame(zone: str, origin: dns.name.Name, names: Sequence[str], through: dns.resolver.Resolver) -> Iterator[Finding]:
    """Servers that the world is sent to and that know nothing of the zone (RFC 1912 §2.8)."""
    located = list(addresses_of(names, through))
    for name in sorted({name.rstrip(".") for name in names} - {server.label for server in located}):
        yield wrong(
            AREA,
            f"{zone} at {name}",
            "this name server has no address",
            remedy=f"give {name} an address, or take it out at the registrar",
            required=False,
        )
    for server in located:
        try:
            answer = ask(server, origin, "SOA")
        except UnansweredError as error:
            yield unknown(AREA, f"{zone} at {server.label}", str(error), required=False)
            continue
        if not answer.flags & dns.flags.AA:
            yield wrong(
                AREA,
                f"{zone} at {server.label}",
                "the world is sent to it, but it does not know the zone (a lame delegation)",
                remedy=f"take {server.label} out at the registrar, or create the zone there",
            )


def serials(zone: str, servers: Sequence[Server]) -> Iterator[Finding]:
    """Whether all servers have the same edition of the zone (RFC 1034 §4.3.5)."""
    origin = dns.name.from_text(zone)
    found: dict[str, int] = {}
    for server in servers:
        try:
            soa = rrset(ask(server, origin, "SOA"), origin, "SOA")
        except UnansweredError:
            continue  # said with the records
        if soa is not None:
            found[server.label] = soa[0].serial
    if len(set(found.values())) > 1:
        shown = ", ".join(f"{label} has {serial}" for label, serial in sorted(found.items()))
        yield wrong(
            "serial",
            zone,
            f"its servers have different editions: {shown}",
            remedy="wait: `tailwart dns check --wait`; if it stays, the transfer to the one behind fails",
            required=False,
        )
    elif found:
        yield ok(
            "serial", zone, f"{next(iter(found.values()))} at {len(found)} of {len(servers)} servers", required=False
        )
