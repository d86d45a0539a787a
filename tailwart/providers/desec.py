"""deSEC (desec.io), by its REST API (through octoDNS)."""

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

SECTION = "DNS: deSEC"

RATE_WAIT = 150
"""Seconds of the longest wait for the rate limit, before each repeat."""


class DesecKeys(Keys):
    """A token of an account."""

    desec_token: SecretStr = key(SECTION, "Token of your account at desec.io.", "change-me-desec", secret=True)


def connect(keys: DesecKeys, notify: Notify) -> Provider:
    """The provider over the API; all changes of a run are one bulk request, which deSEC carries out as a whole."""
    from tailwart.providers._octodns import OctoDns  # noqa: PLC0415 - loads what only its users need

    del notify
    token = keys.desec_token.get_secret_value()

    def library() -> Any:
        # The library waits by itself as long as deSEC's rate limit says, and little for anything else; a longer wait
        # than this one, without a word, is refused (the limits of an hour and of a day).
        made = library_class("octodns_desec", "DesecProvider", "desec")
        return made("tailwart", token, retries=ATTEMPTS - 1, timeout=TIMEOUTS, backoff=1, max_sleep=RATE_WAIT)

    return OctoDns(
        Backend(
            label="deSEC",
            host="desec.io",
            library=library,
            listing=listing,
            atomic=True,
            text=plain_text,
            access="check DESEC_TOKEN in .env: whether the token still exists, its policies and its allowed subnets",
            nameservers=("ns1.desec.io", "ns2.desec.org"),
            statuses={
                "DesecAPIBadRequest": 400,
                "DesecAPIUnauthorized": 401,
                "DesecAPIForbidden": 403,
                "DesecAPINotFound": 404,
                "DesecAPIMaxSleepExceeded": 429,
            },
            secrets=(token,),
        )
    )


def listing(library: Any, zone: str) -> Iterator[Rrset]:
    """Every record set of the zone. octoDNS's own reading would cut a CAA value at its first space."""
    for rrset in library.desec_api.get_rrset(zone):
        yield Rrset(owner_name(rrset["subname"], zone), rrset["type"], rrset["ttl"], tuple(rrset["records"]))


def dns_server(keys: DesecKeys) -> DnsServer:
    """Stalwart's own access."""
    return DnsServer("desec", "DeSEC", {"secret": Variable("STALWART_DESEC_TOKEN", keys.desec_token)})


PROVIDER = Definition(
    label="deSEC",
    keys=DesecKeys,
    ttl=range(3600, 86401),  # an account's default `minimum_ttl`, and the largest TTL (deSEC's documentation)
    connect=connect,
    dns_server=dns_server,
)
