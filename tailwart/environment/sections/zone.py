"""Who holds the zone, and the certificate."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from tailwart import fields as v
from tailwart import providers
from tailwart.fields import key as _key


def _known(value: str) -> str:
    known = ("none", *providers.definitions())
    if value not in known:
        near = difflib.get_close_matches(value, known, 1)
        raise ValueError(f"one of {', '.join(known)}" + (f"; did you mean {near[0]}?" if near else ""))
    return value


DnsProvider = Annotated[str, AfterValidator(_known)]


class ZoneSettings(BaseModel):
    """Who holds the zone, and the certificate."""

    dns_provider: DnsProvider = _key(
        "DNS", f"Who holds the zone: none, {', '.join(providers.definitions())}.", "spaceship", "none"
    )
    dns_nameservers: v.Texts = _key(
        "DNS",
        "Authoritative servers that are asked after a change, name or address[:port]; empty: the provider's.",
        "launch1.spaceship.net",
        (),
    )
    dns_ttl: v.Ttl = _key("DNS", "TTL of our records, seconds.", "3600", 3600)
    provider_keys: Mapping[str, SecretStr] = Field(default_factory=dict)

    acme_directory: v.SecureUrl | None = _key(
        "Certificates",
        "ACME directory for the wildcard certificate (DNS-01); empty: no certificate management.",
        "https://acme-v02.api.letsencrypt.org/directory",
        None,
    )
    acme_contact: str | None = _key("Certificates", "Mail address of the ACME account.", "postmaster@example.org", None)
    acme_dns_provider: DnsProvider | None = _key(
        "Certificates",
        "Through whom Stalwart itself answers DNS-01 challenges; empty: DNS_PROVIDER.",
        "rfc2136",
        None,
    )
    acme_staging: v.Boolean = _key(
        "Certificates", "Use Let's Encrypt's staging directory, for trials (lesson 7).", "false", False
    )
    certspotter_url: v.Url = _key(
        "Certificates",
        "Where `tailwart doctor --deep` counts the certificates that were issued: Cert Spotter's API.",
        "https://api.certspotter.com",
        "https://api.certspotter.com",
    )
    acme_ca: str | None = _key(
        "Certificates",
        "PEM file here with the roots of ACME_DIRECTORY, where machines do not trust them: `make verify` does.",
        "~/private-ca.pem",
        None,
    )
