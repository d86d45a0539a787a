"""Stalwart's own zone texts, recorded from v0.16.7 (`x:Domain/get`, `dnsZoneFile`)."""

from __future__ import annotations

from pathlib import Path

ZONE = "example.org"
PLAIN = (Path(__file__).parent / "dnsZoneFile-plain.txt").read_text(encoding="utf-8")
"""Before there was a certificate."""
WITH_CERTIFICATE = (Path(__file__).parent / "dnsZoneFile-certificate.txt").read_text(encoding="utf-8")
"""With a certificate from an ACME server: TLSA records too."""


def zone_text(zone: str, text: str = PLAIN) -> str:
    """The recorded text for another domain."""
    return text.replace(ZONE, zone)
