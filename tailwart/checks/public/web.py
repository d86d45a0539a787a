"""What is behind the names on :443: the MTA-STS policy, settings for mail programs, JMAP."""

from __future__ import annotations

from collections.abc import Iterator

import dns.resolver

from tailwart.checks.public.door import NO_IPV6, Address, Door, addresses, connect, exchangers, no_way
from tailwart.checks.public.names import ZONE_REMEDY
from tailwart.dns.check import clients, policy, resolving
from tailwart.dns.check.findings import Finding, ok, unknown, wrong
from tailwart.environment import Environment
from tailwart.network import HTTPS


def mta_sts(environment: Environment, domain: str, through: dns.resolver.Resolver) -> Iterator[Finding]:
    """The policy at every address of its host, where the domain announces one."""
    announced = resolving.texts(through, f"_mta-sts.{domain}.", "TXT")
    host = f"mta-sts.{domain}"
    if announced is None:
        yield unknown("mta-sts", host, "the resolver does not answer")
    if not announced:
        return
    hosts = exchangers(resolving.texts(through, f"{domain}.", "MX") or ())
    found = addresses(through, host)
    if not found:
        yield wrong("mta-sts", host, "is announced, and has no address", remedy=ZONE_REMEDY)
    for address in found:
        try:
            text = policy.fetch(address, host, environment.acme_ca)
        except OSError as error:
            yield _web(address, error, "mta-sts", f"{host} at {address}", "the policy cannot be fetched")
            continue
        yield from policy.check(f"{host} at {address}", text, hosts)


def settings(environment: Environment, domain: str, through: dns.resolver.Resolver) -> Iterator[Finding]:
    """What Thunderbird and Outlook are told."""
    for address in addresses(through, f"autoconfig.{domain}"):
        if address.version == 6 and connect(address, HTTPS.port)[0] is None:
            yield unknown("clients", f"autoconfig.{domain} {address}", NO_IPV6, required=False)
            continue
        yield from clients.check(domain, address, domain, environment.mail_host, roots=environment.acme_ca)


def jmap(environment: Environment, door: Door) -> Iterator[Finding]:
    """Whether a JMAP client finds its server at the mail host's name."""
    subject = f"https://{door.host}/.well-known/jmap at {door.address}"
    try:
        policy.request(door.address, door.host, "/.well-known/jmap", roots=environment.acme_ca)
    except policy.StatusError as error:
        # It leads to the session, or asks who is there.
        if error.status not in (301, 302, 307, 308, 401):
            yield _web(door.address, error, "jmap", subject, "is no JMAP server")
            return
    except OSError as error:
        yield _web(door.address, error, "jmap", subject, "does not answer")
        return
    yield ok("jmap", subject, "answers")


def _web(address: Address, error: OSError, area: str, subject: str, what: str) -> Finding:
    if no_way(address, error):
        return unknown(area, subject, NO_IPV6, required=False)
    remedy = "run the edge role, and read lesson 5"
    return wrong(area, subject, f"{what}: {error or type(error).__name__}", remedy=remedy, lesson=5)
