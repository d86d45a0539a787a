"""A plane under test, and the fake API it talks to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from lab.control.faults import Faults
from lab.control.spaceship.registry import Registry
from tailwart.dns.overrides import from_data
from tailwart.dns.plane import Plane
from tailwart.dns.source import ServerFacts
from tailwart.dns.zoneplan import ZonePlan
from tailwart.environment import Environment
from tailwart.providers.definition import Provider
from tailwart.providers.record import Record

API_KEY = "key-of-the-tests"
API_SECRET = "secret-of-the-tests"

Settings = Callable[..., Environment]


@dataclass
class FakeApi:
    """The fake API in this process: its URL, its faults and record of requests, and its list of items."""

    url: str
    faults: Faults
    registry: Registry

    def count(self, *methods: str) -> int:
        """How many requests of these methods came."""
        return sum(request["method"] in methods for request in self.faults.requests)


@dataclass
class Bench:
    """A plane and what a test does with it."""

    plane: Plane
    provider: Provider
    notices: list[str]

    @property
    def zone(self) -> str:
        """The main zone."""
        return self.plane.zones[0]

    def plan(self, **guard: bool) -> ZonePlan:
        """The guarded plan for the main zone."""
        return self.plane.guard(self.plane.plans(self.provider), **guard)[self.zone]

    def apply(self, **guard: bool) -> ZonePlan:
        """Plan and carry out."""
        plan = self.plan(**guard)
        self.plane.apply([plan], self.provider, self.notices.append)
        return plan

    def live(self) -> tuple[Record, ...]:
        """What the provider holds."""
        return self.provider.read(self.zone)

    def with_text(self, text: str | None, account_uri: str | None = None) -> Bench:
        """The same with another zone text from the mail server; none for a server that does not run."""
        facts = ServerFacts({self.zone: text} if text else {}, account_uri, () if text else ("no mail server",))
        return Bench(replace(self.plane, source=lambda: facts), self.provider, self.notices)

    def with_overrides(self, **data: Any) -> Bench:
        """The same with `dns_…` variables."""
        return Bench(replace(self.plane, overrides=from_data(data)), self.provider, self.notices)

    def with_environment(self, environment: Environment) -> Bench:
        """The same with other settings."""
        return Bench(replace(self.plane, environment=environment), self.provider, self.notices)


def spaceship_settings(settings: Settings, fake_api: FakeApi, **changes: Any) -> Environment:
    """Settings that lead to the fake API."""
    return settings(
        dns_provider="spaceship",
        provider_keys={
            "spaceship_api_url": fake_api.url,
            "spaceship_api_key": API_KEY,
            "spaceship_api_secret": API_SECRET,
        },
        **changes,
    )


def ticking() -> Callable[[], datetime]:
    """A clock that never shows the same moment twice."""
    moments = count()
    return lambda: datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=next(moments))
