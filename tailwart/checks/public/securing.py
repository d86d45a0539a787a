"""TLS at a public address: certificates, STARTTLS, and DANE where it is announced."""

from __future__ import annotations

import contextlib
import imaplib
import smtplib
import ssl
from collections.abc import Iterator
from functools import partial

import dns.exception
import dns.flags
import dns.resolver

from tailwart.checks.public.door import NO_IPV6, SECONDS, Door, no_way
from tailwart.dns.check import tls
from tailwart.dns.check.findings import Finding, ok, unknown, wrong
from tailwart.environment import Environment
from tailwart.network import IMAP, SMTP, Service
from tailwart.providers.record import record

_STARTTLS = ("smtp", "imap")


def check(environment: Environment, door: Door, through: dns.resolver.Resolver) -> Iterator[Finding]:
    """Certificates and STARTTLS of every service that has TLS, and DANE where it is announced."""
    required = environment.acme_directory is not None and not environment.acme_staging
    for service in door.services:
        if not service.implicit_tls and service.protocol not in _STARTTLS:
            continue
        subject = f"{door} {service}"
        try:
            seen = _certificate(environment, door, service)
        except (ConnectionRefusedError, TimeoutError):
            # That a port does not answer is told once, with the ports.
            yield unknown("starttls", subject, "does not answer", required=False)
            continue
        except OSError as error:
            if no_way(door.address, error):
                yield unknown("starttls", subject, NO_IPV6, required=False)
                return
            why = str(error) or type(error).__name__
            yield wrong("starttls", subject, f"no TLS: {why}", remedy="run the edge and the mailbox role")
            continue
        yield ok("starttls", subject, "TLS from the first byte" if service.implicit_tls else "STARTTLS")
        where = f"[{door.address}]:{service.port}" if door.address.version == 6 else f"{door.address}:{service.port}"
        acme = environment.acme_directory is not None
        yield from tls.check_certificate(where, seen, door.host, acme=acme, trust_required=required)
        yield from _dane(environment, door, service, seen, through)


def _certificate(environment: Environment, door: Door, service: Service) -> tls.Seen:
    if service is SMTP or service.implicit_tls:
        return tls.fetch(door.address, service.port, door.host, environment.acme_ca)
    return tls.judged(partial(_upgraded, door, service), environment.acme_ca)


def _upgraded(door: Door, service: Service, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A connection on which STARTTLS was said, by SMTP or IMAP; the caller closes it."""
    upgrade = _imap if service.protocol == IMAP.protocol else _smtp
    with contextlib.ExitStack() as failing:
        try:
            secured = upgrade(door, service.port, context, failing)
        except (smtplib.SMTPException, imaplib.IMAP4.error) as error:
            raise OSError(f"no STARTTLS: {type(error).__name__}") from error
        assert isinstance(secured, ssl.SSLSocket)
        failing.pop_all()
        return secured


def _smtp(door: Door, port: int, context: ssl.SSLContext, failing: contextlib.ExitStack) -> object:
    client = smtplib.SMTP(str(door.address), port, local_hostname="doctor.invalid", timeout=SECONDS)
    failing.callback(client.close)
    client._host = door.host  # type: ignore[attr-defined]  # no public way to name the server
    client.starttls(context=context)
    return client.sock


def _imap(door: Door, port: int, context: ssl.SSLContext, failing: contextlib.ExitStack) -> object:
    client = imaplib.IMAP4(str(door.address), port, timeout=SECONDS)
    failing.callback(client.shutdown)
    client.host = door.host
    client.starttls(context)
    return client.sock


def _dane(
    environment: Environment, door: Door, service: Service, seen: tls.Seen, through: dns.resolver.Resolver
) -> Iterator[Finding]:
    name = f"_{service.port}._tcp.{door.host}"
    through.use_edns(0, dns.flags.DO, 1232)
    try:
        answer = through.resolve(f"{name}.", "TLSA", search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return
    except (dns.exception.DNSException, OSError) as error:
        yield unknown("dane", name, f"the resolver does not answer ({type(error).__name__})", required=False)
        return
    if not answer.response.flags & dns.flags.AD:
        yield wrong("dane", name, "is published, and no resolver can verify it", remedy="sign the zone (DNSSEC)")
        return
    entries = [record(environment.domain, name, "TLSA", rdata.to_text(), 0) for rdata in answer]
    yield tls.check_dane(service.port, seen, entries, f"{name} at {door.address}")
