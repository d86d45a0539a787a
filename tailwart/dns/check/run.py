"""All checks of an installation, in the order in which one failure explains the next."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import dns.resolver

from tailwart.dns import dmarc
from tailwart.dns.authority import Server, locate
from tailwart.dns.check import (
    blocklists,
    caa,
    delegation,
    dnssec,
    edges,
    identity,
    queries,
    records,
    resolving,
    services,
    steps,
    targets,
)
from tailwart.dns.check.findings import Finding, State, unknown
from tailwart.dns.check.names import Names
from tailwart.dns.desired import Desired, caa_issuer, unmarked
from tailwart.dns.plane import Plane, sender_terms
from tailwart.dns.reports import Reports
from tailwart.network import SMTP
from tailwart.providers.definition import Provider
from tailwart.providers.record import APEX, Record

Served = Mapping[tuple[str, str], list[Record]]


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom to ask: ``resolvers`` in place of the public ones, ``parents`` in place of the servers of the zone above."""

    resolvers: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    blocklists: tuple[blocklists.Blocklist, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is read once: the desired zones, and the servers to ask. ``through`` is None where nobody may be asked."""

    plane: Plane
    asked: Asked
    desired: Mapping[str, Desired]
    servers: Mapping[str, Sequence[Server]]
    public: Sequence[Server]
    through: dns.resolver.Resolver | None
    problems: tuple[Finding, ...] = ()


def prepare(plane: Plane, provider: Provider | None, asked: Asked) -> Prepared:
    """Ask the mail server and the provider. A lab (OFFLINE) has only those resolvers that are ``asked``."""
    environment = plane.environment
    public, problems = locate(asked.resolvers or (() if environment.offline else resolving.PUBLIC))
    findings = [unknown("resolvers", text.split(" ", 1)[0], text, required=False) for text in problems]
    through = resolving.resolver(public[0]) if public else None
    if through is None and not environment.offline:
        through = resolving.resolver(None)
    desired = {zone: unmarked(one) for zone, one in plane.desired().items()}
    servers: dict[str, Sequence[Server]] = {}
    for zone in desired:
        names = plane.nameservers(provider, zone) if provider else environment.dns_nameservers
        if not names and through is not None:
            names = resolving.nameservers(through, zone)
        servers[zone], problems = locate(names)
        findings += [unknown("nameservers", text.split(" ", 1)[0], text) for text in problems]
        if not names:
            findings.append(unknown("nameservers", zone, "are not known", remedy="name them in DNS_NAMESERVERS"))
    return Prepared(plane, asked, desired, servers, public, through, tuple(findings))


def propagation(prepared: Prepared) -> list[Finding]:
    """What time alone may put right: records at all servers and resolvers, and one serial."""
    found: list[Finding] = []
    for zone in prepared.desired:
        found += _zone(prepared, zone)[0]
        found += delegation.serials(zone, prepared.servers[zone])
    return found


def check(prepared: Prepared) -> list[Finding]:
    """Every check once."""
    environment, through = prepared.plane.environment, prepared.through
    findings = list(prepared.problems)
    connect = services.connecting_once()
    names = Names(prepared.servers, through)
    main: Served = {}
    reported = prepared.plane.reports()
    for zone, desired in prepared.desired.items():
        found, served = _zone(prepared, zone)
        findings += found
        findings += _around(prepared, zone, served, names)
        findings += services.check(desired, served, connect)
        hosts = [entry.value.split()[-1].rstrip(".") for entry in served.get((APEX, "MX"), ())]
        findings += edges.check_mta_sts(environment, zone, desired, hosts)
        findings += _steps(prepared, zone, served, reported)
        findings += edges.check_clients(environment, zone, desired)
        if zone == environment.domain:
            main = served
    findings += edges.check_ipv6(prepared.plane)
    findings += edges.check_certificates(environment, main)
    findings += _addresses(prepared)
    return findings


def _steps(prepared: Prepared, zone: str, served: Served, reported: Mapping[str, Reports] | None) -> Iterator[Finding]:
    """When the next step of DMARC is due, and whether TLS reports allow MTA-STS its next one."""
    archive = prepared.plane.archive
    policies = [entry.value for entry in served.get((dmarc.NAME, "TXT"), ()) if dmarc.is_dmarc(entry.value)]
    begun = steps.since(archive, zone, archive.ledger(zone), dmarc.step(policies[0])) if len(policies) == 1 else None
    yield from steps.check(zone, served, begun, reported)
    if ("_mta-sts", "TXT") in {entry.rrset for entry in prepared.desired[zone].records}:
        yield from steps.check_tls(zone, reported)


def _zone(prepared: Prepared, zone: str) -> tuple[list[Finding], Served]:
    plane, desired = prepared.plane, prepared.desired[zone]
    found, served = records.check(desired, prepared.servers[zone], plane.archive.ledger(zone), plane.txt)
    return [*found, *(resolving.check_records(desired, server) for server in prepared.public)], served


def _around(prepared: Prepared, zone: str, served: Served, names: Names) -> Iterator[Finding]:
    """The zone above, signatures, CAA, and the names that records lead to."""
    intent, servers = prepared.desired[zone].intent, prepared.servers[zone]
    parents, problem = _parents(prepared, zone)
    if problem:
        yield problem
        yield from delegation.serials(zone, servers)
    else:
        yield from delegation.check(zone, servers, parents, prepared.through)
        tlsa = [rrset for rrset, entries in served.items() if rrset[1] == "TLSA" and entries]
        chain = dnssec.check(zone, servers, parents, tlsa)
        yield from chain.findings
        if zone == intent.main:
            yield from dnssec.dane(zone, chain.secure, bool(tlsa), asked=intent.overrides.tlsa)
    found = [
        *targets.check_mx(zone, served.get((APEX, "MX"), ()), names.texts),
        *targets.check_reports(zone, served.get(("_dmarc", "TXT"), ()), names.texts),
    ]
    if intent.acme_directory:
        issuer = intent.overrides.caa_issuer or caa_issuer(intent.acme_directory)
        found += caa.check(zone, issuer, intent.account_uri, names.caa)
    yield from _fitting(found, prepared)


def _parents(prepared: Prepared, zone: str) -> tuple[list[Server], Finding | None]:
    if prepared.asked.parents:
        located, problems = locate(prepared.asked.parents)
        return located, unknown("delegation", zone, problems[0]) if problems else None
    if prepared.through is None:
        text = "the zone above is not asked (OFFLINE)"
        return [], unknown("delegation", zone, text, remedy="name its server: --parent ADDRESS", required=False)
    try:
        return queries.parents(zone, prepared.through), None
    except queries.UnansweredError as error:
        return [], unknown("delegation", zone, str(error), remedy="name its server: --parent ADDRESS")


def _addresses(prepared: Prepared) -> Iterator[Finding]:
    """Reverse names, greetings and blocklists of the addresses; the smarthost's, from which mail leaves, above all."""
    hosts = list(_hosts(prepared.plane))
    if prepared.through is None:
        yield unknown("reverse", "none", "no resolver to ask", remedy="name one: --resolver", required=False)
        return
    yield from resolving.check_reverse(
        ((host.who, host.address, host.sends) for host in hosts), prepared.public[0] if prepared.public else None
    )
    yield from identity.check(hosts, prepared.through)
    if prepared.asked.blocklists:
        # Operators of lists refuse the public resolvers: this machine's own is asked unless one is named.
        through = prepared.through if prepared.asked.resolvers else resolving.resolver(None)
        yield from blocklists.check(((host.who, host.address) for host in hosts), prepared.asked.blocklists, through)


def _hosts(plane: Plane) -> Iterator[identity.Host]:
    for edge in plane.environment.edges:
        receives = SMTP in plane.environment.services_of(edge)
        for address in edges.addresses(edge):
            yield identity.Host(edge.name, address, sends=False, port=SMTP.port if receives else None)
    for term in sender_terms(plane.environment, plane.overrides):
        kind, _, value = term.lstrip("+").partition(":")
        if kind in {"ip4", "ip6"} and "/" not in value:
            yield identity.Host("sender", ipaddress.ip_address(value), sends=True)


def _fitting(found: Iterable[Finding], prepared: Prepared) -> Iterator[Finding]:
    """Where nobody may be asked (OFFLINE), that nobody answered is no failure to look."""
    for finding in found:
        hidden = prepared.through is None and finding.state is State.UNKNOWN
        yield replace(finding, required=False) if hidden else finding
