"""Whom the server asks for names. DANE needs a resolver that returns DNSSEC signatures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, model_validator

from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.protocol.values import TYPE
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.terms.fields import Duration, Term

_PORTS = {"udp": 53, "tcp": 53, "tls": 853}
_SERVER = re.compile(
    r"(?:(?P<scheme>udp|tcp|tls)://)?(?:\[(?P<v6>[0-9a-fA-F:]+)\]|(?P<host>[\d.]+|[0-9a-fA-F:]+?(?=\Z)))(?::(?P<port>\d{1,5}))?\Z"
)


class NameServer(NamedTuple):
    """One resolver: `udp://192.0.2.53`, `tls://[2001:db8::53]:853`."""

    protocol: str
    address: str
    port: int


def _server(value: object) -> NameServer:
    expected = "an address such as 192.0.2.53, tls://192.0.2.53 or udp://[2001:db8::53]:53"
    match = _SERVER.match(str(value))
    if match is None:
        raise ValueError(expected)
    scheme = match["scheme"] or "udp"
    try:
        address = ip_address(match["v6"] or match["host"])
    except ValueError:
        raise ValueError(expected) from None
    port = int(match["port"] or _PORTS[scheme])
    if not 0 < port < 65536:
        raise ValueError(expected)
    return NameServer(scheme, str(address), port)


class ResolverTerms(Term):
    """`use`: the system's, a public one, or the `servers` of your own."""

    use: Literal["system", "quad9", "cloudflare", "google", "own"] = "system"
    servers: tuple[Annotated[NameServer, BeforeValidator(_server)], ...] = ()
    timeout: Duration | None = None

    @model_validator(mode="after")
    def _servers_of_ones_own(self) -> ResolverTerms:
        if (self.use == "own") is not bool(self.servers):
            raise ValueError('"servers" with "use": "own", and only then')
        return self


_VARIANTS = {"system": "System", "quad9": "Quad9", "cloudflare": "Cloudflare", "google": "Google", "own": "Custom"}


def objects(terms: ResolverTerms) -> Iterator[DesiredObject]:
    """The resolver."""
    fields: dict[str, Any] = {TYPE: _VARIANTS[terms.use]}
    if terms.servers:
        fields["servers"] = tuple(server._asdict() for server in terms.servers)
    if terms.timeout:
        fields["timeout"] = terms.timeout
    yield DesiredObject("DnsResolver", SINGLETON, fields)
