"""OVHcloud, by its API (through octoDNS)."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal

from pydantic import SecretStr

from tailwart.fields import key
from tailwart.providers._octodns_backend import TIMEOUTS, Backend, Rrset, library_class, owner_name, plain_text
from tailwart.providers.definition import Definition, DnsServer, Keys, Notify, Provider, Variable

SECTION = "DNS: OVH"
_TEXTS = {"DKIM": "", "SPF": "it is of OVH's own type SPF", "DMARC": "it is of OVH's own type DMARC"}
"""Types of OVH's that are TXT records in DNS, and why octoDNS cannot change them; it knows DKIM."""


class OvhKeys(Keys):
    """An application and its consumer key."""

    ovh_endpoint: Literal["ovh-eu", "ovh-ca", "kimsufi-eu", "kimsufi-ca", "soyoustart-eu", "soyoustart-ca"] = key(
        SECTION, "Which of OVH's APIs.", "ovh-eu", "ovh-eu"
    )
    ovh_application_key: SecretStr = key(SECTION, "Application key.", "change-me-ovh-application", secret=True)
    ovh_application_secret: SecretStr = key(SECTION, "Application secret.", "change-me-ovh-secret", secret=True)
    ovh_consumer_key: SecretStr = key(
        SECTION, "Consumer key with GET, POST and DELETE on /domain/zone/*.", "change-me-ovh-consumer", secret=True
    )


def connect(keys: OvhKeys, notify: Notify) -> Provider:
    """The provider over the API; OVH publishes the changes of a run together, at their last request."""
    from tailwart.providers._octodns import OctoDns  # noqa: PLC0415 - loads what only its users need

    del notify
    application = keys.ovh_application_key.get_secret_value()
    secret, consumer = keys.ovh_application_secret.get_secret_value(), keys.ovh_consumer_key.get_secret_value()

    def library() -> Any:
        # It writes the consumer key into its debug log.
        logging.getLogger("OvhProvider[tailwart]").setLevel(logging.INFO)
        made = library_class("octodns_ovh", "OvhProvider", "ovh")(
            "tailwart", keys.ovh_endpoint, application, secret, consumer
        )
        made._apply_update = partial(_update, made)
        # It cannot be told; its own is three minutes.
        made._client._timeout = TIMEOUTS
        return made

    return OctoDns(
        Backend(
            label="OVH",
            host=keys.ovh_endpoint,
            library=library,
            listing=listing,
            atomic=True,
            text=plain_text,
            access="check OVH_APPLICATION_KEY, OVH_APPLICATION_SECRET, OVH_CONSUMER_KEY and OVH_ENDPOINT in .env; the "
            "consumer key needs GET, POST and DELETE on /domain/zone/*, and may be bound to addresses",
            statuses={
                "InvalidCredential": 403,
                "InvalidKey": 403,
                "NotCredential": 403,
                "NotGrantedCall": 403,
                "Forbidden": 403,
                "ResourceNotFoundError": 404,
                "BadParametersError": 400,
            },
            secrets=(application, secret, consumer),
        )
    )


def _update(library: Any, zone: str, change: Any) -> None:
    """Write a record set record by record: what is new first, then what goes; what stays is not touched.

    octoDNS would delete the whole set before it writes it again. A failure in between would lose the owner's records in
    it, and the next run could not know of them.
    """
    rtype, name = change.new._type, change.new.name
    desired = {_meaning(zone, entry): entry for entry in getattr(library, f"_params_for_{rtype}")(change.new)}
    present = {
        number: library.get_record(zone, number)
        for kind in ([rtype, "DKIM"] if rtype == "TXT" else [rtype])
        for number in library._client.get(f"/domain/zone/{zone}/record", fieldType=kind, subDomain=name)
    }
    held = {_meaning(zone, entry): number for number, entry in present.items()}
    for meaning in desired.keys() - held.keys():
        library.create_record(zone, desired[meaning])
    for number, entry in present.items():
        new = desired.get(_meaning(zone, entry))
        if new is None or new["ttl"] != entry["ttl"]:
            library.delete_record(zone, number)
        if new is not None and new["ttl"] != entry["ttl"]:
            library.create_record(zone, new)


def _meaning(zone: str, entry: Mapping[str, Any]) -> tuple[str, str]:
    """What makes a record of the API itself: quotes and final dots are spelt in more than one way there."""
    from tailwart.providers._octodns import records_of  # noqa: PLC0415 - loads what only its users need

    kind = entry["fieldType"]
    rrset = Rrset(owner_name(entry["subDomain"], zone), "TXT" if kind in _TEXTS else kind, 0, (entry["target"],))
    (found,) = records_of(rrset, zone)
    return kind, found.value


def listing(library: Any, zone: str) -> Iterator[Rrset]:
    """Every record set of the zone. octoDNS leaves OVH's own type SPF out, beside which ours would be a second SPF."""
    grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for item in library.get_records(zone):
        kind = item["fieldType"]
        grouped[item["subDomain"], "TXT" if kind in _TEXTS else kind].append(item)
    for (name, rtype), items in grouped.items():
        obstacle = next((_TEXTS[item["fieldType"]] for item in items if _TEXTS.get(item["fieldType"])), "")
        values = tuple(str(item["target"]) for item in items)
        yield Rrset(owner_name(name, zone), rtype, items[0]["ttl"], values, obstacle)


def dns_server(keys: OvhKeys) -> DnsServer:
    """Stalwart's own access."""
    return DnsServer(
        "ovh",
        "Ovh",
        {
            "applicationKey": keys.ovh_application_key,
            "applicationSecret": Variable("STALWART_OVH_APPLICATION_SECRET", keys.ovh_application_secret),
            "consumerKey": Variable("STALWART_OVH_CONSUMER_KEY", keys.ovh_consumer_key),
            "ovhEndpoint": keys.ovh_endpoint,
        },
    )


PROVIDER = Definition(
    label="OVH",
    keys=OvhKeys,
    ttl=range(60, 2**31),
    connect=connect,
    dns_server=dns_server,
)
