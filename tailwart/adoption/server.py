"""From the server's own settings to the keys of `.env`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from tailwart.adoption.describing import Description, secret
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.values import MASKED, TYPE, members_of

KINDS = ("Domain", "SystemSettings", "BlobStore", "InMemoryStore", "MtaRoute", "MtaOutboundStrategy", "AcmeProvider")
"""What has to be read."""

Fields = Mapping[str, Any]


def describe(said: Description, live: Live, environment: Mapping[str, str]) -> None:
    """Add what the server says; ``environment`` is that of its container, ``said`` what is known already."""
    _domains(said, live)
    _blobs(said, _one(live, "BlobStore"), environment)
    _memory(said, _one(live, "InMemoryStore"))
    _smarthost(said, live, environment)
    _acme(said, live)


def _domains(said: Description, live: Live) -> None:
    names = [str(item.get("name") or "") for item in live.of("Domain")]
    main = str(_one(live, "SystemSettings").get("defaultDomainId") or "")
    default = next((str(item.get("name")) for item in live.of("Domain") if str(item.get("id")) == main), "")
    domain = said.values.get("DOMAIN") or default or (names[0] if len(names) == 1 else "")
    if domain and domain in names:
        said.put("DOMAIN", domain)
    elif domain:
        said.remarks.append(f"DOMAIN: the server has no domain {domain}, but {', '.join(names) or 'none'}")
    else:
        said.miss("DOMAIN", f"the server has {', '.join(names) or 'no domain'}")
    if others := [name for name in names if name not in ("", domain)]:
        said.remarks.append(f"further domains stay as they are: EXTRA_DOMAINS={','.join(others)} manages them as well")


def _blobs(said: Description, store: Fields, environment: Mapping[str, str]) -> None:
    kind = store.get(TYPE)
    if kind == "S3":
        region = _fields(store.get("region"))
        said.put("S3_BUCKET", store.get("bucket") or "")
        if endpoint := region.get("customEndpoint"):
            said.put("S3_ENDPOINT", endpoint)
            said.put("S3_REGION", region.get("customRegion") or "")
        else:
            said.miss("S3_ENDPOINT", f"the server has the region {region.get(TYPE)} without an endpoint of its own")
        access = store.get("accessKey")
        secret(said, "S3_ACCESS_KEY", access, environment)
        secret(said, "S3_SECRET_KEY", store.get("secretKey"), environment)
    elif kind not in (None, "Default"):
        said.miss("S3_ENDPOINT", f"message bodies are in a store of the kind {kind}, which this deploy does not know")


def _memory(said: Description, store: Fields) -> None:
    kind = store.get(TYPE)
    if kind == "Redis":
        url = str(store.get("url") or "")
        if url and MASKED not in url:
            said.put("REDIS_URL", url)
        else:
            said.miss("REDIS_URL", "the server does not show it")
    elif kind not in (None, "Default"):
        said.miss("REDIS_URL", f"the in-memory store is of the kind {kind}, which this deploy does not know")


def _smarthost(said: Description, live: Live, environment: Mapping[str, str]) -> None:
    strategy = _fields(_one(live, "MtaOutboundStrategy").get("route"))
    chosen = str(strategy.get("else") or "").strip().strip("'\"")
    route = next((item for item in live.of("MtaRoute") if item.get("name") == chosen), {})
    if route.get(TYPE) != "Relay":
        return
    address = str(route.get("address") or "")
    try:
        ip_address(address)
    except ValueError:
        said.miss("SMARTHOST_ADDRESS", f"the route {chosen} has the name {address}, an address is needed (lesson 8)")
    else:
        said.put("SMARTHOST_ADDRESS", address)
    said.put("SMARTHOST_PORT", route.get("port") or "")
    for key, field in (("IMPLICIT_TLS", "implicitTls"), ("ALLOW_INVALID_CERTS", "allowInvalidCerts")):
        if route.get(field) is True:
            said.put(f"SMARTHOST_{key}", "true")
    if user := route.get("authUsername"):
        said.put("SMARTHOST_USERNAME", user)
        secret(said, "SMARTHOST_PASSWORD", route.get("authSecret"), environment)


def _acme(said: Description, live: Live) -> None:
    found = live.of("AcmeProvider")
    if len(found) != 1:
        if found:
            said.miss("ACME_DIRECTORY", f"the server has {len(found)} ACME providers")
        return
    said.put("ACME_DIRECTORY", found[0].get("directory") or "")
    contacts = sorted(str(item).removeprefix("mailto:") for item in members_of(found[0].get("contact")))
    said.put("ACME_CONTACT", contacts[0] if contacts else "")


def _one(live: Live, kind: str) -> Fields:
    return next(iter(live.of(kind)), {})


def _fields(value: object) -> Fields:
    return value if isinstance(value, Mapping) else {}
