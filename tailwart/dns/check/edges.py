"""What answers at the edges: IPv6, certificates and DANE, the MTA-STS policy, settings for mail clients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address

from tailwart.dns.check import clients, policy, tls
from tailwart.dns.check.findings import Finding, ok, unknown, wrong
from tailwart.dns.desired import Desired
from tailwart.dns.plane import Plane, edge_addresses
from tailwart.dns.reachability import judge
from tailwart.environment import Edge, Environment
from tailwart.network import SMTP, ports
from tailwart.providers.record import Record

Address = IPv4Address | IPv6Address


def check_ipv6(plane: Plane) -> Iterator[Finding]:
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
            yield unknown("ipv6", subject, verdict.reason, required=False)
        else:
            yield wrong(
                "ipv6",
                subject,
                verdict.reason,
                remedy="make the edge listen on IPv6 (run the edge role, check its firewall) before any AAAA",
                lesson=8,
            )


def check_certificates(
    environment: Environment, served: Mapping[tuple[str, str], Sequence[Record]]
) -> Iterator[Finding]:
    """The certificate of the mail host at each address of an edge, and the DANE records about it."""
    name = environment.mail_host
    # By implicit TLS where there is such a service; port 25 is always there, and speaks STARTTLS.
    port = next((service.port for service in environment.mail_services.public if service.implicit_tls), SMTP.port)
    # A lab's CA and a staging CA are trusted by nobody, which is as it should be.
    required = environment.acme_directory is not None and not (environment.acme_staging or environment.offline)
    for edge in environment.edges:
        if port not in ports(environment.services_of(edge)):
            continue
        for address in addresses(edge):
            where = f"{edge.name} {address}"
            try:
                seen = tls.fetch(address, port, name, environment.acme_ca)
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
    environment: Environment,
    edge: Edge,
    served: Mapping[tuple[str, str], Sequence[Record]],
    address: Address,
    where: str,
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
            yield tls.check_dane(port, tls.fetch(address, port, name, environment.acme_ca), published, subject)
        except OSError as error:
            yield unknown("dane", subject, f"no certificate to compare with ({error or type(error).__name__})")


def check_mta_sts(environment: Environment, zone: str, desired: Desired, hosts: Sequence[str]) -> Iterator[Finding]:
    """The policy at each edge that serves it, compared with the domain's MX ``hosts``."""
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
        for address in addresses(edge):
            subject = f"mta-sts.{zone} at {edge.name} {address}"
            try:
                text = policy.fetch(address, f"mta-sts.{zone}", environment.acme_ca)
            except OSError as error:
                yield wrong(
                    "mta-sts",
                    subject,
                    f"cannot be fetched: {error or type(error).__name__}",
                    remedy=f"https://mta-sts.{zone}{policy.PATH} must answer with a trusted certificate (lesson 5)",
                    required=False,
                )
                continue
            yield from policy.check(subject, text, hosts or [environment.mail_host])


def check_clients(environment: Environment, zone: str, desired: Desired) -> Iterator[Finding]:
    """What Thunderbird and Outlook are told, at each edge that serves :443."""
    if not any(entry.name == "autoconfig" for entry in desired.records):
        return
    for edge in (edge for edge in environment.edges if edge.owns_https):
        for address in addresses(edge):
            yield from clients.check(edge.name, address, zone, environment.mail_host, roots=environment.acme_ca)


def addresses(edge: Edge) -> list[Address]:
    """The public addresses of an edge."""
    return [address for address in (edge.ipv4, edge.ipv6) if address is not None]
