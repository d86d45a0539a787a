"""What the authoritative servers themselves serve; never a cache (lesson 13)."""

from __future__ import annotations

import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from tailwart.errors import TailwartError
from tailwart.providers.record import Record, absolute, from_rdata

TIMEOUT = 4.0
_POLL = 1.0
MOST_ASKED = 500
"""Record sets that one change asks each server for; the provider's own answer has been compared whole before."""

RrsetName = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Server:
    """One authoritative server: what it is called, and where it answers."""

    label: str
    address: str
    port: int = 53


@dataclass(frozen=True, slots=True)
class Answer:
    """What one server said about one record set; ``error`` when it said nothing useful."""

    server: Server
    rrset: RrsetName
    records: tuple[Record, ...] = ()
    error: str = ""


def locate(names: Iterable[str]) -> tuple[list[Server], list[str]]:
    """Servers by `name`, `address`, `name:port` or `[v6]:port`; and a sentence for each that cannot be resolved."""
    servers, problems = [], []
    for name in names:
        host, port = _split(name)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except OSError as error:
            problems.append(f"{name} has no address ({error})")
            continue
        # One address is enough to hear a server; IPv4 first, because an operator's machine often has no IPv6.
        family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        del family
        servers.append(Server(name, str(address[0]), port))
    return servers, problems


def ask(server: Server, zone: str, rrset: RrsetName, timeout: float = TIMEOUT) -> Answer:
    """One record set from one server, without recursion; over TCP when the answer does not fit."""
    name, rtype = rrset
    query = dns.message.make_query(absolute(name, zone), rtype, use_edns=0, payload=1232)
    query.flags &= ~dns.flags.RD
    try:
        try:
            reply, _ = dns.query.udp_with_fallback(query, server.address, port=server.port, timeout=timeout / 2)
        except dns.exception.Timeout:
            # A lost datagram, or a way that only lets TCP through (RFC 7766: every server speaks it).
            reply = dns.query.tcp(query, server.address, port=server.port, timeout=timeout)
    except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
        return Answer(server, rrset, error=f"{server.label} does not answer ({type(error).__name__})")
    if reply.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return Answer(server, rrset, error=f"{server.label} answers {dns.rcode.to_text(reply.rcode())}")
    if not reply.flags & dns.flags.AA:
        return Answer(server, rrset, error=f"{server.label} is not authoritative for {zone}")
    desired = dns.rdatatype.from_text(rtype)
    found = tuple(
        from_rdata(zone, answer.name, rdata, answer.ttl)
        for answer in reply.answer
        if answer.rdtype == desired and answer.name == absolute(name, zone)
        for rdata in answer
    )
    return Answer(server, rrset, found)


def ask_all(servers: Iterable[Server], zone: str, rrsets: Iterable[RrsetName]) -> list[Answer]:
    """Every record set from every server, several at a time."""
    pairs = [(server, rrset) for rrset in rrsets for server in servers]
    if not pairs:
        return []
    with ThreadPoolExecutor(max_workers=min(16, len(pairs))) as pool:
        return list(pool.map(lambda pair: ask(pair[0], zone, pair[1]), pairs))


def wait_until_served(
    servers: list[Server],
    zone: str,
    present: Iterable[Record],
    absent: Iterable[Record],
    *,
    seconds: float,
    notify: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> tuple[str, ...]:
    """Wait until every server that answers serves ``present`` and no longer ``absent``.

    Returns a sentence for each server that could not be asked. Raises `TailwartError` with the differences when they
    are still there after ``seconds``.
    """
    present, absent = [entry for entry in present if _in_dns(entry)], [entry for entry in absent if _in_dns(entry)]
    open_sets = _sample(sorted({entry.rrset for entry in [*present, *absent]}))
    deadline = clock() + seconds
    notified = False
    while True:
        answers = ask_all(servers, zone, open_sets)
        unheard = {answer.server.label: answer.error for answer in answers if answer.error}
        wrong = list(_differences((answer for answer in answers if not answer.error), present, absent))
        if not wrong:
            return tuple(sorted(unheard.values()))
        if clock() >= deadline:
            raise TailwartError(
                f"the authoritative servers of {zone} do not serve the change after {seconds:.0f} s",
                seen="; ".join(text for _, text in wrong[:6]) + (", …" if len(wrong) > 6 else ""),
                expected="what the provider's API confirmed",
                lesson=13,
                remedy="wait, then run `tailwart dns check`; if it stays, the domain's nameservers are not the "
                "provider's (see DNS_NAMESERVERS)",
            )
        if not notified:
            notify(f"waiting for the authoritative servers of {zone} ({len(wrong)} record sets to go)")
            notified = True
        open_sets = sorted({rrset for rrset, _ in wrong})
        pause(_POLL)


def _sample(rrsets: list[RrsetName]) -> list[RrsetName]:
    """All record sets, or as many as can be asked for in seconds, spread over a very large change."""
    return rrsets[:: max(1, -(-len(rrsets) // MOST_ASKED))]


def _differences(
    answers: Iterable[Answer], present: list[Record], absent: list[Record]
) -> Iterable[tuple[RrsetName, str]]:
    there: dict[RrsetName, list[Record]] = defaultdict(list)
    gone: dict[RrsetName, list[Record]] = defaultdict(list)
    for entries, found in ((present, there), (absent, gone)):
        for entry in entries:
            found[entry.rrset].append(entry)
    for answer in answers:
        served = {entry.key for entry in answer.records}
        for entry in there[answer.rrset]:
            if entry.key not in served:
                yield answer.rrset, f"{answer.server.label}: missing {entry}"
        for entry in gone[answer.rrset]:
            if entry.key in served:
                yield answer.rrset, f"{answer.server.label}: still {entry}"


def _in_dns(entry: Record) -> bool:
    """Whether a record is one that can be asked for; a provider's own types (ALIAS) cannot."""
    try:
        dns.rdatatype.from_text(entry.type)
    except dns.exception.DNSException:
        return False
    return entry.is_dns


def _split(name: str) -> tuple[str, int]:
    if name.startswith("["):
        host, _, port = name[1:].partition("]")
        return host, int(port.lstrip(":") or 53)
    if name.count(":") == 1:
        host, _, port = name.partition(":")
        return host, int(port)
    return name, 53
