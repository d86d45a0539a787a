"""TLS of the listeners: the lowest version, and ciphers that are not offered."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from tailwart.network import SMTP, Services
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.terms.fields import Term

# The server has no others (RFC 8446, RFC 5289, RFC 7905), by its own names for them.
CIPHERS = {
    "TLS_AES_256_GCM_SHA384": "tls13-aes-256-gcm-sha384",
    "TLS_AES_128_GCM_SHA256": "tls13-aes-128-gcm-sha256",
    "TLS_CHACHA20_POLY1305_SHA256": "tls13-chacha20-poly1305-sha256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "tls-ecdhe-ecdsa-with-aes-256-gcm-sha384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "tls-ecdhe-ecdsa-with-aes-128-gcm-sha256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "tls-ecdhe-ecdsa-with-chacha20-poly1305-sha256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "tls-ecdhe-rsa-with-aes-256-gcm-sha384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "tls-ecdhe-rsa-with-aes-128-gcm-sha256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "tls-ecdhe-rsa-with-chacha20-poly1305-sha256",
}
_TLS13 = frozenset(name for name in CIPHERS if "_WITH_" not in name)


def _cipher(value: str) -> str:
    if value not in CIPHERS:
        near = difflib.get_close_matches(value.upper(), CIPHERS, 1)
        raise ValueError("a cipher suite by its IANA name" + (f"; did you mean {near[0]}?" if near else ""))
    return value


def _some_left(values: tuple[str, ...]) -> tuple[str, ...]:
    if frozenset(values) >= _TLS13:
        raise ValueError("at least one of the TLS 1.3 ciphers left: " + ", ".join(sorted(_TLS13)))
    return values


Version = Literal["1.2", "1.3"]


class TlsTerms(Term):
    """`clients`: the lowest version for people's programs. `servers`: on port 25, where many senders know only 1.2."""

    clients: Version = "1.2"
    servers: Version = "1.2"
    without_ciphers: Annotated[tuple[Annotated[str, AfterValidator(_cipher)], ...], AfterValidator(_some_left)] = ()


def objects(terms: TlsTerms, services: Services) -> Iterator[DesiredObject]:
    """The TLS fields of every listener that can speak TLS."""
    for service in services.listeners:
        if service.clear:
            continue
        fields: dict[str, Any] = {}
        if terms.gives("servers" if service == SMTP else "clients"):
            lowest = terms.servers if service == SMTP else terms.clients
            fields["tlsDisableProtocols"] = frozenset({"tls12"} if lowest == "1.3" else ())
        if terms.gives("without_ciphers"):
            fields["tlsDisableCipherSuites"] = frozenset(CIPHERS[name] for name in terms.without_ciphers)
        if fields:
            yield DesiredObject("NetworkListener", str(service.port), fields, at_creation={"name": service.name})
