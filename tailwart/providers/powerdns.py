"""PowerDNS's authoritative server, by its HTTP API (through octoDNS)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from tailwart.fields import SecureUrl, key
from tailwart.providers._octodns_backend import TIMEOUTS, Backend, Rrset, library_class
from tailwart.providers.definition import Definition, Keys, Notify, Provider

SECTION = "DNS: PowerDNS"


class PowerDnsKeys(Keys):
    """The API of one server."""

    powerdns_api_url: SecureUrl = key(
        SECTION, "The server's HTTP API (webserver-address and -port).", "https://ns1.example.org:8081"
    )
    powerdns_api_key: SecretStr = key(SECTION, "Its `api-key`.", "change-me-powerdns", secret=True)
    powerdns_server_id: str = key(SECTION, "The server's name in the API.", "localhost", "localhost")


def connect(keys: PowerDnsKeys, notify: Notify) -> Provider:
    """The provider over the API; all changes of a run are one request, which PowerDNS carries out as a whole."""
    from tailwart.providers._octodns import OctoDns  # noqa: PLC0415 - loads what only its users need

    del notify
    url, secret = urlsplit(keys.powerdns_api_url), keys.powerdns_api_key.get_secret_value()

    def library() -> Any:
        return library_class("octodns_powerdns", "PowerDnsProvider", "powerdns")(
            "tailwart",
            host=f"[{url.hostname}]" if ":" in str(url.hostname) else url.hostname,
            port=url.port or (443 if url.scheme == "https" else 80),
            scheme=url.scheme,
            api_key=secret,
            server_id=keys.powerdns_server_id,
            enable_dynamic=False,
            timeout=TIMEOUTS,
        )

    return OctoDns(
        Backend(
            label="PowerDNS",
            host=url.netloc,
            library=library,
            listing=listing,
            atomic=True,
            text=presentation_text,
            access="check POWERDNS_API_KEY (the server's `api-key`) and POWERDNS_API_URL in .env, and "
            "`webserver-allow-from` on the server",
            secrets=(secret,),
        )
    )


def listing(library: Any, zone: str) -> Iterator[Rrset]:
    """Every record set of the zone; disabled records are not served, and octoDNS would enable them."""
    for rrset in library._get(f"zones/{zone}.").json()["rrsets"]:
        disabled = any(entry["disabled"] for entry in rrset["records"])
        yield Rrset(
            rrset["name"],
            rrset["type"],
            rrset["ttl"],
            tuple(entry["content"] for entry in rrset["records"]),
            "it holds a disabled record, which octoDNS would enable" if disabled else "",
        )


def presentation_text(text: str) -> str:
    """A TXT value as octodns-powerdns puts it between quotes: RFC 1035 text with everything escaped that needs it."""
    octets = text.encode("utf-8", "surrogateescape")
    special = {ord('"'): '\\"', ord("\\"): "\\\\", ord(";"): "\\;"}
    return "".join(special.get(octet) or (chr(octet) if 32 <= octet < 127 else f"\\{octet:03}") for octet in octets)


PROVIDER = Definition(
    label="PowerDNS",
    keys=PowerDnsKeys,
    ttl=range(1, 2**31),
    connect=connect,
    # Stalwart has no access of its own to this API; the server may speak RFC 2136 besides.
    dns_server=None,
)
