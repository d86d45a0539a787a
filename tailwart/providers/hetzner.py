"""Hetzner's DNS zones in its cloud console, by the cloud API (through octoDNS)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr

from tailwart.fields import key
from tailwart.providers._octodns_backend import (
    ATTEMPTS,
    TIMEOUTS,
    Backend,
    Rrset,
    library_class,
    owner_name,
    plain_text,
)
from tailwart.providers.definition import Definition, DnsServer, Keys, Notify, Provider, Variable

SECTION = "DNS: Hetzner"


class HetznerKeys(Keys):
    """A token of a project."""

    hetzner_token: SecretStr = key(
        SECTION,
        "API token (read and write) of the cloud project that holds the zone.",
        "change-me-hetzner",
        secret=True,
    )


def connect(keys: HetznerKeys, notify: Notify) -> Provider:
    """The provider over the API; each record set changes as a whole."""
    from tailwart.providers._octodns import OctoDns  # noqa: PLC0415 - loads what only its users need

    del notify
    token = keys.hetzner_token.get_secret_value()

    def library() -> Any:
        # The other backend is the DNS console's older API.
        made = library_class("octodns_hetzner", "HetznerProvider", "hetzner")("tailwart", token, backend="hcloud")
        # It can be told neither, and waits for an answer without end.
        requests = made._client._hcloud._client
        requests._timeout, requests._retry_max_retries = TIMEOUTS, ATTEMPTS - 1
        return made

    return OctoDns(
        Backend(
            label="Hetzner",
            host="api.hetzner.cloud",
            library=library,
            listing=listing,
            atomic=False,
            text=plain_text,
            access="check HETZNER_TOKEN in .env: a token with read and write access of the project that holds the zone",
            statuses={"unauthorized": 401, "forbidden": 403, "not_found": 404, "rate_limit_exceeded": 429},
            secrets=(token,),
        )
    )


def listing(library: Any, zone: str) -> Iterator[Rrset]:
    """Every record set of the zone. octoDNS's own reading would take an error of the API for an empty zone."""
    found = library._client._zones.get(zone)
    for rrset in found.get_rrset_all():
        yield Rrset(
            owner_name(rrset.name, zone),
            rrset.type,
            rrset.ttl or found.ttl,
            tuple(entry.value for entry in rrset.records),
            "it is protected against changes" if (rrset.protection or {}).get("change") else "",
        )


def dns_server(keys: HetznerKeys) -> DnsServer:
    """Stalwart's own access."""
    return DnsServer("hetzner", "Hetzner", {"secret": Variable("STALWART_HETZNER_TOKEN", keys.hetzner_token)})


PROVIDER = Definition(
    label="Hetzner",
    keys=HetznerKeys,
    ttl=range(60, 2**31),  # the API's reference
    connect=connect,
    dns_server=dns_server,
)
