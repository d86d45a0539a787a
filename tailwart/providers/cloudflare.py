"""Cloudflare, by its API (through octoDNS)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import SecretStr

from tailwart.errors import TailwartError
from tailwart.fields import key
from tailwart.providers._octodns_backend import TIMEOUTS, Backend, Rrset, library_class, plain_text
from tailwart.providers.definition import Definition, DnsServer, Keys, Notify, Provider, Variable

SECTION = "DNS: Cloudflare"
AUTOMATIC = 1
"""The TTL that Cloudflare chooses itself, 300 s for what it does not proxy."""


class CloudflareKeys(Keys):
    """An API token, not the account's global key."""

    cloudflare_token: SecretStr = key(
        SECTION, "API token with Zone:Read and DNS:Edit for the zone.", "change-me-cloudflare", secret=True
    )


def connect(keys: CloudflareKeys, notify: Notify) -> Provider:
    """The provider over the API, where each record is changed by itself."""
    from tailwart.providers._octodns import OctoDns  # noqa: PLC0415 - loads what only its users need

    del notify
    token = keys.cloudflare_token.get_secret_value()

    def library() -> Any:
        # Page rules would need a further permission. The library's own waits (five minutes) come without a word.
        return library_class("octodns_cloudflare", "CloudflareProvider", "cloudflare")(
            "tailwart", token=token, pagerules=False, retry_count=1, retry_period=5, min_ttl=60, timeout=TIMEOUTS
        )

    return OctoDns(
        Backend(
            label="Cloudflare",
            host="api.cloudflare.com",
            library=library,
            listing=listing,
            atomic=False,
            text=plain_text,
            access="check CLOUDFLARE_TOKEN in .env: a token with the permissions Zone:Read and DNS:Edit for this zone, "
            "not expired, and this machine among its client addresses",
            statuses={"CloudflareAuthenticationError": 403, "CloudflareRateLimitError": 429, "CloudflareError": 400},
            secrets=(token,),
        )
    )


def listing(library: Any, zone: str) -> Iterator[Rrset]:
    """Every record set of the zone, and the name servers that Cloudflare gave it, which are no records there."""
    known = library.zones.get(f"{zone}.")
    if known is None:
        raise TailwartError(
            f"Cloudflare does not know the zone {zone}",
            expected=", ".join(sorted(library.zones)) or "a zone that CLOUDFLARE_TOKEN may read",
            remedy="check DOMAIN and EXTRA_DOMAINS, and the zones for which CLOUDFLARE_TOKEN is valid",
        )
    if known["name_servers"]:
        servers = tuple(f"{name}." for name in known["name_servers"])
        yield Rrset(f"{zone}.", "NS", 86400, servers, "Cloudflare sets it")
    grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for item in library._paginated_get(f"/zones/{known['id']}/dns_records", per_page=library.records_per_page):
        grouped[item["name"], item["type"]].append(item)
    for (name, rtype), items in grouped.items():
        first = items[0]
        # A proxied name answers with Cloudflare's addresses: with this TTL it is never taken for what mail needs.
        ttl = 300 if first["ttl"] == AUTOMATIC and not first.get("proxied") else first["ttl"]
        root_alias = rtype == "CNAME" and name == zone
        obstacle = "a CNAME at the zone's own name, which Cloudflare flattens" if root_alias else ""
        yield Rrset(f"{name}.", rtype, ttl, tuple(map(presentation, items)), obstacle)


def presentation(item: Mapping[str, Any]) -> str:
    """A record of the API as RFC 1035 text: its `content` has no final dots and lacks what is in other fields."""
    rtype, content, data = item["type"], str(item.get("content", "")), item.get("data") or {}
    if rtype in {"CNAME", "NS", "PTR"}:
        return f"{content.rstrip('.')}."
    if rtype == "MX":
        return f"{item['priority']} {content.rstrip('.')}."
    if rtype == "SRV" and data:
        return f"{data['priority']} {data['weight']} {data['port']} {str(data['target']).rstrip('.')}."
    if rtype == "CAA" and data:
        return f'{data["flags"]} {data["tag"]} "{data["value"]}"'
    if rtype == "TLSA" and data:
        return f"{data['usage']} {data['selector']} {data['matching_type']} {data['certificate']}"
    return content


def dns_server(keys: CloudflareKeys) -> DnsServer:
    """Stalwart's own access."""
    return DnsServer(
        "cloudflare", "Cloudflare", {"secret": Variable("STALWART_CLOUDFLARE_TOKEN", keys.cloudflare_token)}
    )


PROVIDER = Definition(
    label="Cloudflare",
    keys=CloudflareKeys,
    ttl=range(60, 86401),  # the API's reference, for every plan
    connect=connect,
    dns_server=dns_server,
)
