"""What the DNS tests share: a real name server, the fake API in front of it, and a plane for one fresh zone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from lab.control import server
from lab.control.spaceship.app import create_app
from lab.control.spaceship.publisher import NameServer
from lab.control.spaceship.registry import Registry
from tailwart.dns.archive import Archive
from tailwart.dns.overrides import from_data
from tailwart.dns.plane import Plane
from tailwart.dns.source import ServerFacts
from tailwart.environment import Environment
from tailwart.providers import _spaceship_http as spaceship_http
from tests.unit.dns.bench import API_KEY, API_SECRET, Bench, FakeApi, Settings, spaceship_settings, ticking
from tests.unit.dns.names import ADDRESS, KEY_ALGORITHM, KEY_NAME, KEY_SECRET, Knot, serving
from tests.unit.dns.recorded import zone_text

_zones = count()


@pytest.fixture(scope="session")
def knot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knot]:
    """A name server for the whole session; each test takes a zone of its own."""
    # Names of this process alone: commands on one zone wait for each other on the whole machine.
    zones = tuple(f"z{number}p{os.getpid()}.test" for number in range(200))
    with serving(tmp_path_factory.mktemp("knot"), zones) as running:
        yield running


@pytest.fixture
def zone(knot: Knot) -> str:
    """A zone that no test has used yet."""
    return knot.zones[next(_zones)]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Retries do not wait; the test sees how long they would have."""
    waited: list[float] = []
    monkeypatch.setattr(spaceship_http, "sleep", waited.append)
    return waited


@pytest.fixture
def fake_api(knot: Knot, zone: str) -> Iterator[FakeApi]:
    """Spaceship's API for the test's zone, published to the name server within each request."""
    publisher = NameServer(ADDRESS, knot.port, (KEY_NAME, KEY_ALGORITHM, KEY_SECRET))
    registry = Registry([zone], publisher)
    app = create_app(registry, API_KEY, API_SECRET)
    with server.running(app) as url:
        yield FakeApi(f"{url}/api/v1", app, registry)


@pytest.fixture
def settings(zone: str, knot: Knot) -> Settings:
    """Settings for the test's zone; keywords replace single ones."""

    def make(**changes: Any) -> Environment:
        document: dict[str, Any] = {
            "domain": zone,
            "ts_tailnet": "tailnet.test",
            "edges": [
                {"name": "edge-1", "ssh": "root@192.0.2.1", "ipv4": "198.51.100.11", "web": "/etc/caddy/Caddyfile"}
            ],
            "smarthost_address": "198.51.100.25",
            "dns_nameservers": knot.nameserver,
            **changes,
        }
        return Environment.model_validate(document)

    return make


@pytest.fixture
def bench_for(zone: str, tmp_path: Path) -> Callable[[Environment], Bench]:
    """A bench over any settings, with the recorded zone text."""

    def make(environment: Environment) -> Bench:
        notices: list[str] = []
        plane = Plane(
            environment,
            from_data({}),
            lambda: ServerFacts({zone: zone_text(zone)}),
            Archive(tmp_path / "_backup" / "dns", ticking()),
            lookup=lambda _: None,
            wait=10,
        )
        return Bench(plane, plane.open_provider(notices.append), notices)

    return make


@pytest.fixture
def spaceship(bench_for: Callable[[Environment], Bench], settings: Settings, fake_api: FakeApi) -> Bench:
    """A plane on the fake API."""
    return bench_for(spaceship_settings(settings, fake_api))


@pytest.fixture
def rfc2136(bench_for: Callable[[Environment], Bench], settings: Settings, knot: Knot) -> Bench:
    """A plane on the name server itself."""
    return bench_for(
        settings(
            dns_provider="rfc2136",
            provider_keys={
                "rfc2136_server": ADDRESS,
                "rfc2136_port": str(knot.port),
                "rfc2136_key_name": KEY_NAME,
                "rfc2136_key": KEY_SECRET,
                "rfc2136_algorithm": KEY_ALGORITHM,
            },
        )
    )
