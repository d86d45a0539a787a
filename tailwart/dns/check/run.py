"""All checks of an installation, in the order in which one failure explains the next."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from tailwart.dns.authority import locate
from tailwart.dns.check import policy, records, resolving, services, tls
from tailwart.dns.check.findings import Finding, ok, unknown, wrong
from tailwart.dns.desired import Desired, unmarked
from tailwart.dns.plane import Plane, edge_addresses, sender_terms
from tailwart.dns.reachability import judge
from tailwart.environment import Edge, Environment
from tailwart.network import SMTP, ports
from tailwart.providers.definition import Provider
from tailwart.providers.record import Record

Address = IPv4Address | IPv6Address


def check(plane: Plane, provider: Provider | None, resolvers: tuple[str, ...] = ()) -> list[Finding]:
    """Check everything. ``resolvers`` replaces the public ones; a lab (OFFLINE) has none of those."""
    environment = plane.environment
    findings: list[Finding] = []
    public, problems = locate(resolvers or (() if environment.offline else resolving.PUBLIC))
    findings += [unknown("resolvers", text.split(" ", 1)[0], text, required=False) for text in problems]
    desired = {zone: unmarked(one) for zone, one in plane.desired().items()}
    served: dict[tuple[str, str], list[Record]] = {}
    connect = services.connecting_once()
    for zone, zone_desired in desired.items():
        names = plane.nameservers(provider, zone) if provider else environment.dns_nameservers
        servers, problems = locate(names)
        findings += [unknown("nameservers", text.split(" ", 1)[0], text) for text in problems]
        if not names:
            findings.append(unknown("nameservers", zone, "are not known", remedy="name them in DNS_NAMESERVERS"))
        found, at_zone = records.check(zone_desired, servers, plane.archive.ledger(zone), plane.txt)
        findings += found
        findings += [resolving.check_records(zone_desired, server) for server in public]
        findings += services.check(zone_desired, at_zone, connect)
        findings += _mta_sts(environment, zone, zone_desired)
        if zone == environment.domain:
            served = at_zone
    findings += _ipv6(plane)
    findings += _certificates(environment, served)
    if public or not environment.offline:
        findings += resolving.check_reverse(_addresses(plane), public[0] if public else None)
    else:
        findings.append(unknown("reverse", "none", "no resolver to ask", remedy="name one: --resolver", required=False))
    return findings


def _ipv6(plane: Plane) -> Iterator[Finding]:
    """Whether each edge answers on IPv6 now, which decides its AAAA records."""
    for edge in plane.environment.edges:
        if edge.ipv6 is None:
            continue
        addresses = [entry for entry in edge_addresses(plane.environment) if entry.name == edge.name]
        verdict = judge(addresses, plane.vantages())
        subject = f"{edge.name} [{edge.ipv6}]:25"
        if verdict.publish:
            yield ok("ipv6", subject, "answers")
        elif verdict.unknown:
            yield unknown("ipv6", subject, verdict.reason)
        else:
            yield wrong(
                "ipv6",
                subject,
                verdict.reason,
                remedy="make the edge listen on IPv6 (run the edge role, check its firewall) before any AAAA",
                lesson=8,
            )


def _certificates(environment: Environment, served: dict[tuple[str, str], list[Record]]) -> Iterator[Finding]:
    name = environment.mail_host
    # By implicit TLS where there is such a service; port 25 is always there, and speaks STARTTLS.
    port = next((service.port for service in environment.mail_services.public if service.implicit_tls), SMTP.port)
    # A lab's CA and a staging CA are trusted by nobody, which is as it should be.
    required = environment.acme_directory is not None and not (environment.acme_staging or environment.offline)
    for edge in environment.edges:
        if port not in ports(environment.services_of(edge)):
            continue
        for address in _of(edge):
            where = f"{edge.name} {address}"
            try:
                seen = tls.fetch(address, port, name)
            except OSError as error:
                yield wrong(
                    "certificate",
                    f"{name} at {where}",
                    f"port {port} shows none ({error or type(error).__name__})",
                    remedy="run the edge role; check the network from here to that port",
                    required=address.version == 4,
                )
                continue
            acme = environment.acme_directory is not None
            yield from tls.check_certificate(where, seen, name, acme=acme, trust_required=required)
            yield from _dane(environment, edge, served, address, where)


def _dane(
    environment: Environment, edge: Edge, served: dict[tuple[str, str], list[Record]], address: Address, where: str
) -> Iterator[Finding]:
    name = environment.mail_host
    for service in environment.services_of(edge):
        port = service.port
        if service is not SMTP and not service.implicit_tls:
            continue
        published = served.get((f"_{port}._tcp.mail", "TLSA"), [])
        if not published:
            continue
        subject = f"{name}:{port} at {where}"
        try:
            yield tls.check_dane(port, tls.fetch(address, port, name), published, subject)
        except OSError as error:
            yield unknown("dane", subject, f"no certificate to compare with ({error or type(error).__name__})")


def _mta_sts(environment: Environment, zone: str, desired: Desired) -> Iterator[Finding]:
    if not any(entry.name == "_mta-sts" for entry in desired.records):
        return
    web = [edge for edge in environment.edges if edge.owns_https]
    if not web:
        yield wrong(
            "mta-sts",
            f"mta-sts.{zone}",
            "is announced, but no edge serves :443",
            remedy='take <NAME>_HTTPS=false of an edge out of .env; or leave it out: dns_exclude = ["_mta-sts TXT"]',
            required=False,
        )
    for edge in web:
        for address in _of(edge):
            subject = f"mta-sts.{zone} at {edge.name} {address}"
            try:
                text = policy.fetch(address, f"mta-sts.{zone}")
            except OSError as error:
                yield wrong(
                    "mta-sts",
                    subject,
                    f"cannot be fetched: {error or type(error).__name__}",
                    remedy=f"https://mta-sts.{zone}{policy.PATH} must answer with a trusted certificate (lesson 5)",
                    required=False,
                )
                continue
            yield from policy.check(subject, text, environment.mail_host)


def _addresses(plane: Plane) -> Iterator[tuple[str, Address, bool]]:
    """Addresses whose reverse names matter: the smarthost's, from which mail leaves, above all."""
    environment = plane.environment
    for edge in environment.edges:
        for address in _of(edge):
            yield edge.name, address, False
    for term in sender_terms(environment, plane.overrides):
        kind, _, value = term.lstrip("+").partition(":")
        if kind in {"ip4", "ip6"} and "/" not in value:
            yield "sender", ipaddress.ip_address(value), True


def _of(edge: Edge) -> list[Address]:
    return [address for address in (edge.ipv4, edge.ipv6) if address is not None]
