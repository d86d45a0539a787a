"""What holds for every provider through octoDNS: keys become the library's object, and no log shows them."""

from __future__ import annotations

import logging

import pytest

from tailwart.providers import definitions
from tests.unit.dns.octo import KEYS, opened


@pytest.mark.parametrize("name", sorted(KEYS))
def test_the_keys_reach_the_library(name: str) -> None:
    library = opened(name)._backend.library()
    inside = {
        "cloudflare": lambda: library._sess.headers["Authorization"],
        "desec": lambda: library.desec_api.token,
        "hetzner": lambda: library._client._hcloud._client._token,
        "ovh": lambda: library._client._application_secret + library._client._consumer_key,
        "powerdns": lambda: library._sess.headers["X-API-Key"],
        "route53": lambda: library._conn._request_signer._credentials.secret_key,
    }
    assert "T0K" in inside[name]()
    assert {"A", "AAAA", "CNAME", "MX", "TXT", "SRV", "CAA"} <= library.SUPPORTS


def test_every_octodns_provider_is_tried_here() -> None:
    assert set(KEYS) == set(definitions()) - {"spaceship", "rfc2136"}


def test_powerdns_takes_an_ipv6_address() -> None:
    library = opened("powerdns")._backend.library()
    assert (library.scheme, library.host, library.port) == ("https", "[2001:db8::53]", 8443)


@pytest.mark.parametrize("name", sorted(KEYS))
def test_no_secret_is_in_a_debug_log(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    opened(name)._backend.library()
    assert "T0K" not in caplog.text
    assert "C0N" not in caplog.text
