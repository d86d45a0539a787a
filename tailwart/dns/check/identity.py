"""Each address under one name: its reverse name, the greeting of its server and the certificate there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import dns.resolver
import dns.reversename

from tailwart.dns.check import tls
from tailwart.dns.check.findings import Finding, ok, unknown, wrong
from tailwart.dns.check.resolving import texts
from tailwart.network import SMTP

AREA = "identity"
Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Host:
    """One address of a server. ``sends``: mail leaves from it, so receivers judge its names (RFC 5321 §4.1.4).

    ``port`` is where it greets, None where it takes no mail and shows no name.
    """

    who: str
    address: Address
    sends: bool
    port: int | None = SMTP.port


def check(hosts: Iterable[Host], through: dns.resolver.Resolver) -> Iterator[Finding]:
    """One finding per address. That the reverse name leads back to it is the matter of `resolving.check_reverse`."""
    for host in hosts:
        if host.port is None:
            continue
        subject = f"{host.who} {host.address}"
        reverse = dns.reversename.from_address(str(host.address))
        names = texts(through, reverse, "PTR")
        try:
            name, certificate = tls.meet(host.address, host.port)
        except OSError as error:
            yield unknown(
                AREA,
                subject,
                f"port {host.port} does not show a name and a certificate from here ({error or type(error).__name__})",
                required=False,
            )
            continue
        if names is None:
            yield unknown(AREA, subject, "the resolver does not answer for its reverse name", required=host.sends)
            continue
        reversed_names = {text.lower().rstrip(".") for text in names}
        differences = list(_differences(name, reversed_names, tls.names_of(certificate)))
        if not differences:
            yield ok(AREA, subject, f"reverse name, greeting and certificate are {name}", required=host.sends)
            continue
        yield wrong(
            AREA,
            subject,
            f"greets as {name}, but {' and '.join(differences)}",
            remedy=f"ask whoever gave you the address for the reverse name below, and let the certificate name {name}",
            paste=f"{reverse} IN PTR {name}.",
            required=host.sends and name not in reversed_names,
        )


def _differences(name: str, reverse: set[str], certificate: set[str]) -> Iterator[str]:
    if name not in reverse:
        yield f"its reverse name is {', '.join(sorted(reverse)) or 'missing'}"
    if "." not in name or not tls.covers(certificate, name):
        yield f"its certificate is for {', '.join(sorted(certificate)) or 'no name'}"
