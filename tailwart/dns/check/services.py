"""Every SRV record that the zone serves, compared with what answers behind it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from ipaddress import IPv4Address, IPv6Address

from tailwart.dns.check.findings import Finding, ok, wrong
from tailwart.dns.desired import Desired
from tailwart.dns.intent import EdgeAddresses
from tailwart.network import BY_PORT, HTTPS, SRV_LABELS
from tailwart.providers.record import Record

AREA = "services"
_TIMEOUT = 5.0


Connect = Callable[[IPv4Address | IPv6Address, int], str]
"""Why a port does not answer; empty when it does."""


def connecting_once() -> Connect:
    """Connections that are made once for each address and port: the mail server counts them (lesson 3)."""

    @cache
    def connect(address: IPv4Address | IPv6Address, port: int) -> str:
        try:
            socket.create_connection((str(address), port), timeout=_TIMEOUT).close()
        except OSError as error:
            return str(error) or type(error).__name__
        return ""

    return connect


def check(desired: Desired, served: Mapping[tuple[str, str], Sequence[Record]], connect: Connect) -> Iterator[Finding]:
    """One finding per SRV record at the authoritative server and edge address.

    A record with the target `.` says that there is no such service (RFC 6186 §3.4) and is left alone. Records for other
    hosts are not judged. The zones of one installation share ``connect``, since they lead to the same ports.
    """
    intent = desired.intent
    for label in SRV_LABELS:
        for entry in served.get((label, "SRV"), ()):
            port, target = int(entry.value.split()[2]), entry.value.split()[3]
            if target != intent.mail_host:
                continue
            subject = f"{label}.{intent.zone}"
            if port not in intent.reachable_ports:
                yield _unreachable(subject, port, entry, desired)
                continue
            for edge in intent.edges if port == HTTPS.port else intent.mail_edges:
                if port == HTTPS.port and not edge.https:
                    yield _mail_only(subject, edge)
                else:
                    yield from _answers(subject, edge, port, connect)


def _unreachable(subject: str, port: int, entry: Record, desired: Desired) -> Finding:
    name = BY_PORT[port].name if port in BY_PORT else f"port {port}"
    managed = any(other.key == entry.key for other in desired.records)
    return wrong(
        AREA,
        subject,
        f"leads clients to port {port}, which no edge serves ({name} is not public)",
        remedy=f'take "{entry.name} SRV" out of dns_records'
        if managed
        else f"remove the record (`tailwart dns apply`, or by hand if it is yours), or add {name} to MAIL_SERVICES",
        required=False,
    )


def _mail_only(subject: str, edge: EdgeAddresses) -> Finding:
    return wrong(
        AREA,
        f"{subject} at {edge.name}",
        f"leads clients to port {HTTPS.port}, which {edge.name} does not serve (<NAME>_HTTPS=false)",
        remedy="take <NAME>_HTTPS=false of that edge out of .env, or set JMAP_VHOST=false",
        required=False,
    )


def _answers(subject: str, edge: EdgeAddresses, port: int, connect: Connect) -> Iterator[Finding]:
    for address in (edge.ipv4, edge.ipv6):
        if address is None:
            continue
        where = f"{subject} at {edge.name} {address}"
        if reason := connect(address, port):
            yield wrong(
                AREA,
                where,
                f"port {port} does not answer: {reason}",
                remedy=f"run the edge role (`pyinfra inventory.py deploy.py --limit {edge.name}`), and look at the "
                f"host's firewall and at the way from here to port {port}",
                required=address.version == 4,
            )
        else:
            yield ok(AREA, where, f"port {port} answers")
