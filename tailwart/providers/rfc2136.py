"""Your own primary name server: dynamic updates (RFC 2136) signed with TSIG (RFC 8945)."""

from __future__ import annotations

from typing import Literal

from pydantic import SecretStr

from tailwart.fields import IPv4, IPv6, Port, key
from tailwart.providers.definition import Definition, DnsServer, Keys, Notify, Provider, Variable

SECTION = "DNS: RFC 2136"


class Rfc2136Keys(Keys):
    """The server and a TSIG key that may transfer and update its zones."""

    rfc2136_server: IPv4 | IPv6 = key(SECTION, "Address of your own primary name server.", "192.0.2.53")
    rfc2136_port: Port = key(SECTION, "Its port.", "53", 53)
    rfc2136_key_name: str = key(SECTION, "Name of the TSIG key.", "tailwart")
    rfc2136_key: SecretStr = key(SECTION, "TSIG key, base64.", "Y2hhbmdlLW1lLXRzaWctc2VjcmV0", secret=True)
    rfc2136_algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = key(
        SECTION, "TSIG algorithm.", "hmac-sha256", "hmac-sha256"
    )


def connect(keys: Rfc2136Keys, notify: Notify) -> Provider:
    """The provider over DNS itself. Raises `TailwartError` for a key that is not base64."""
    from tailwart.providers._rfc2136 import Rfc2136, tsig_key  # noqa: PLC0415 - loads much of dnspython

    del notify  # nothing here takes long
    secret = tsig_key(keys.rfc2136_key_name, keys.rfc2136_key.get_secret_value(), keys.rfc2136_algorithm)
    return Rfc2136(str(keys.rfc2136_server), keys.rfc2136_port, secret)


def dns_server(keys: Rfc2136Keys) -> DnsServer:
    """Stalwart's own access, over TCP."""
    return DnsServer(
        "rfc2136",
        "Tsig",
        {
            "host": str(keys.rfc2136_server),
            "port": keys.rfc2136_port,
            "keyName": keys.rfc2136_key_name,
            "key": Variable("STALWART_RFC2136_KEY", keys.rfc2136_key),
            "protocol": "tcp",
            "tsigAlgorithm": keys.rfc2136_algorithm,
        },
    )


PROVIDER = Definition(
    label="RFC 2136",
    keys=Rfc2136Keys,
    ttl=range(1, 2**31),  # RFC 2181 §8
    connect=connect,
    dns_server=dns_server,
)
