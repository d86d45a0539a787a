"""Amazon Route 53 (through octoDNS)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr

from tailwart.errors import TailwartError
from tailwart.fields import key
from tailwart.providers._octodns_backend import ATTEMPTS, TIMEOUTS, Backend, Rrset, library_class, plain_text
from tailwart.providers.definition import Definition, DnsServer, Keys, Notify, Provider, Variable

SECTION = "DNS: Route 53"
RIGHTS = "ListHostedZones, ListResourceRecordSets, ChangeResourceRecordSets and ListHealthChecks"
"""What octoDNS asks of Route 53; the last because it looks for health checks of its own making before a change."""

_OCTAL = re.compile(r"\\([0-3][0-7]{2})")
_ROUTED = ("AliasTarget", "SetIdentifier", "TrafficPolicyInstanceId", "HealthCheckId")


class Route53Keys(Keys):
    """An access key of an IAM user."""

    route53_access_key_id: SecretStr = key(
        SECTION,
        f"Access key of a user that may use {RIGHTS}.",
        "change-me-route53-access",
        secret=True,
    )
    route53_secret_access_key: SecretStr = key(SECTION, "Its secret.", "change-me-route53", secret=True)


def connect(keys: Route53Keys, notify: Notify) -> Provider:
    """The provider over the API; all changes of a run are one batch, which Route 53 carries out as a whole."""
    from tailwart.providers._octodns import OctoDns  # noqa: PLC0415 - loads what only its users need

    del notify
    access, secret = (key.get_secret_value() for key in (keys.route53_access_key_id, keys.route53_secret_access_key))

    def library() -> Any:
        made = library_class("octodns_route53", "Route53Provider", "route53")(
            "tailwart", access_key_id=access, secret_access_key=secret, private=False
        )
        # It can be told the number of requests alone; one of them may take two minutes.
        made._conn = _client(access, secret)
        return made

    return OctoDns(
        Backend(
            label="Route 53",
            host="route53.amazonaws.com",
            library=library,
            listing=listing,
            atomic=True,
            text=plain_text,
            access="check ROUTE53_ACCESS_KEY_ID and ROUTE53_SECRET_ACCESS_KEY in .env, and that the user may use "
            f"{RIGHTS}; look at this machine's clock",
            statuses={"Throttling": 429, "NoSuchHostedZone": 404},
            secrets=(access, secret),
        )
    )


def _client(access: str, secret: str) -> Any:
    """The API with bounds of ours."""
    config = library_class("botocore.config", "Config", "route53")(
        connect_timeout=TIMEOUTS[0],
        read_timeout=TIMEOUTS[1],
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    session = library_class("boto3", "Session", "route53")(
        aws_access_key_id=access, aws_secret_access_key=secret, aws_session_token=None
    )
    return session.client("route53", config=config)


def listing(library: Any, zone: str) -> Iterator[Rrset]:
    """Every record set of the zone; those that Route 53 routes itself (aliases, weights, health checks) are locked."""
    identifier = library._get_zone_id(f"{zone}.")
    if not identifier:
        raise TailwartError(
            f"Route 53 does not know the zone {zone}",
            remedy=f"check DOMAIN and EXTRA_DOMAINS, and that {zone} is a public hosted zone of this account",
        )
    for rrset in library._load_records(identifier):
        routed = next((name for name in _ROUTED if rrset.get(name)), "")
        values = tuple(decimal(entry["Value"]) for entry in rrset.get("ResourceRecords", ()))
        yield Rrset(
            decimal(rrset["Name"]),
            rrset["Type"],
            rrset.get("TTL", 300),
            values or (str(rrset.get("AliasTarget", {}).get("DNSName", routed)),),
            f"Route 53 routes it ({routed})" if routed else "",
        )


def decimal(text: str) -> str:
    """RFC 1035 text for Route 53's, which escapes octets by three octal digits instead of decimal ones."""
    return _OCTAL.sub(lambda match: _escaped(int(match[1], 8)), text)


def _escaped(octet: int) -> str:
    # The API escapes letters of names too (`*` as \052), which are plain text otherwise.
    return chr(octet) if 32 < octet < 127 and chr(octet) not in '.;"\\' else f"\\{octet:03}"


def dns_server(keys: Route53Keys) -> DnsServer:
    """Stalwart's own access; the service is global, its requests are signed for this region."""
    return DnsServer(
        "route53",
        "Route53",
        {
            "accessKeyId": keys.route53_access_key_id,
            "secretAccessKey": Variable("STALWART_ROUTE53_SECRET", keys.route53_secret_access_key),
            "region": "us-east-1",
        },
    )


PROVIDER = Definition(
    label="Route 53",
    keys=Route53Keys,
    ttl=range(1, 2**31),
    connect=connect,
    dns_server=dns_server,
)
