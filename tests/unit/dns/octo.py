"""Providers through octoDNS for tests: opened with their keys, and the records of a listing."""

from __future__ import annotations

from typing import Any

from tailwart.providers import definition
from tailwart.providers._octodns import OctoDns, records_of
from tailwart.providers.record import Record
from tests.unit.dns.recorded import ZONE

KEYS: dict[str, dict[str, str]] = {
    "cloudflare": {"cloudflare_token": "T0K"},
    "desec": {"desec_token": "T0K"},
    "hetzner": {"hetzner_token": "T0K"},
    "ovh": {"ovh_application_key": "app", "ovh_application_secret": "T0K", "ovh_consumer_key": "C0N"},
    "powerdns": {"powerdns_api_url": "https://[2001:db8::53]:8443", "powerdns_api_key": "T0K"},
    "route53": {"route53_access_key_id": "AKIA", "route53_secret_access_key": "T0K"},
}


def opened(name: str) -> OctoDns:
    """A provider with its keys."""
    known = definition(name)
    provider = known.connect(known.keys.model_validate(KEYS[name]), lambda _: None)
    assert isinstance(provider, OctoDns)
    return provider


def listed(rrsets: Any) -> list[Record]:
    """The records of a listing."""
    return sorted(entry for rrset in rrsets for entry in records_of(rrset, ZONE))
