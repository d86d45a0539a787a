"""Public addresses, the names that lead to them, and whether they answer."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

import dns.resolver

from tailwart.dns.check import resolving
from tailwart.environment import Environment
from tailwart.network import SMTP, Service

Address = IPv4Address | IPv6Address

SECONDS = 5.0
NO_IPV6 = "this machine has no way to IPv6 addresses"
_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL}


@dataclass(frozen=True, slots=True)
class Door:
    """One public address, and the name that led to it. ``services``: what must answer there."""

    host: str
    address: Address
    services: tuple[Service, ...]

    def __str__(self) -> str:
        return f"{self.host} {self.address}"


def doors(environment: Environment, through: dns.resolver.Resolver) -> list[Door]:
    """The addresses behind the MX records and mail.DOMAIN."""
    hosts = {environment.mail_host: environment.mail_services.public}
    for domain in environment.domains:
        for host in exchangers(resolving.texts(through, f"{domain}.", "MX") or ()):
            hosts.setdefault(host, (SMTP,))
    return [Door(host, address, services) for host, services in hosts.items() for address in addresses(through, host)]


def addresses(through: dns.resolver.Resolver, host: str) -> list[Address]:
    """All addresses of a name, IPv4 first; none where nobody answers."""
    return [ip_address(text) for rtype in ("A", "AAAA") for text in resolving.texts(through, f"{host}.", rtype) or ()]


def exchangers(values: Iterable[str]) -> list[str]:
    """The hosts of MX records; none for the one that says that there is no mail (RFC 7505)."""
    return [host for value in values if (host := value.split()[-1].rstrip(".").lower())]


def connect(address: Address, port: int) -> tuple[bool | None, str]:
    """Whether the port answers, None where this machine has no way to the address; and why not."""
    try:
        socket.create_connection((str(address), port), timeout=SECONDS).close()
    except OSError as error:
        if no_way(address, error):
            return None, f"{NO_IPV6} ({error.strerror})"
        return False, f"does not answer ({error.strerror or type(error).__name__})"
    return True, ""


def no_way(address: Address, error: OSError) -> bool:
    """Whether the error says that this machine has no IPv6, which is nothing about the address."""
    return error.errno in _UNREACHABLE and address.version == 6
