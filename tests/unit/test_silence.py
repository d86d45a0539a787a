"""A server that accepts and never answers: every client gives up by its own bounds, and says who was silent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tailwart.errors import TailwartError
from tailwart.providers import _octodns_backend, _rfc2136, _spaceship_http, definition, definitions
from tailwart.providers._octodns import OctoDns
from tailwart.providers.definition import Provider
from tailwart.retries import Retries
from tailwart.supply import http as supply_http
from tailwart.tailnet import client as policy
from tailwart.tailnet import requesting
from tests.unit.dns.test_dns_providers import KEYS

ZONE = "example.org"
MINUTE = 60.0
SHORT = 0.05
"""Seconds that stand for a client's own patience."""


class Silent:
    """Takes every connection and says nothing."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.connections: list[socket.socket] = []
        self._closing = False
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._closing:
                connection.close()
                return
            self.connections.append(connection)

    def close(self) -> None:
        """Let go of everybody."""
        self._closing = True
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        for each in (self._listener, *self.connections):
            each.close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    """The server, on loopback."""
    server = Silent()
    yield server
    server.close()


class Clock:
    """Time that passes by pauses and by requests alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


def spent(made: Callable[[Clock], Retries], durations: list[float]) -> float:
    """Seconds until it gives up, when each request waits as long as the next of the durations for nothing."""
    clock, waits = Clock(), iter(durations)

    def request() -> None:
        clock.pass_(next(waits, durations[-1]))
        raise requests.ReadTimeout

    with pytest.raises(requests.ReadTimeout):
        made(clock).call(request, transient_error=requests.RequestException, transient=lambda _: False)
    return clock.now


@given(
    st.floats(0, MINUTE).flatmap(
        lambda longest: st.tuples(st.just(longest), st.lists(st.floats(0, longest), min_size=1))
    ),
    st.integers(1, 20),
)
def test_silence_ends_within_its_bound_however_it_is_spread(case: tuple[float, list[float]], attempts: int) -> None:
    longest, durations = case
    made = lambda clock: Retries(attempts, sleep=clock.pass_, clock=clock, request_seconds=longest)  # noqa: E731
    assert spent(made, durations) <= MINUTE


def test_a_name_with_many_silent_addresses_is_tried_no_further_than_the_bound() -> None:
    made = lambda clock: Retries(20, sleep=clock.pass_, clock=clock, request_seconds=1)  # noqa: E731
    assert spent(made, [25.0]) <= MINUTE


def test_an_answer_begins_the_time_anew_and_what_it_asks_for_is_no_silence() -> None:
    clock = Clock()
    answers: Iterator[Any] = iter(["later", requests.ReadTimeout(), "done"])

    def request() -> str:
        clock.pass_(25)
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    retries = Retries(total_pause=400, sleep=clock.pass_, clock=clock, request_seconds=25)
    result = retries.call(
        request,
        transient_error=requests.RequestException,
        transient=lambda answer: answer == "later",
        requested_pause=lambda _: 300.0,
    )
    assert result == "done", "the pause of a rate limit is not held against the request after it"


def test_a_write_of_unknown_outcome_and_the_read_after_it_fit_into_a_minute() -> None:
    assert sum(requesting.TIMEOUTS) + requesting.SILENCE <= MINUTE


def test_each_repeats_once_at_least() -> None:
    """A bound that one lost answer uses up would be no repetition. It connected at once, and fell silent."""
    for timeouts, silence, first_pause in (
        (requesting.TIMEOUTS, requesting.SILENCE, 0.5),
        (_spaceship_http.TIMEOUT, MINUTE, 1.0),
        (supply_http._TIMEOUTS, MINUTE, 0.5),
    ):
        assert timeouts[1] + 2 * first_pause + sum(timeouts) <= silence


def test_what_octodns_repeats_fits_into_a_minute() -> None:
    # deSEC pauses 1 and 2 s, hcloud and boto at most as long.
    pauses = sum(2**number for number in range(_octodns_backend.ATTEMPTS - 1))
    connect, read = _octodns_backend.TIMEOUTS
    assert _octodns_backend.ATTEMPTS * (connect + read) + pauses <= MINUTE
    addresses = 4  # of Cloudflare's API, more than the others have
    assert _octodns_backend.ATTEMPTS * addresses * connect + pauses <= MINUTE


def test_desec_waits_for_its_rate_limit_five_minutes_in_sum() -> None:
    """As docs/runs.md says; the library alone would wait ten minutes before each repeat."""
    known = definition("desec")
    provider = known.connect(known.keys.model_validate(KEYS["desec"]), lambda _: None)
    assert isinstance(provider, OctoDns)
    api = provider._backend.library().desec_api
    assert api.max_sleep * api.retries <= 300


def test_a_transfer_fits_into_a_minute() -> None:
    assert max(_rfc2136.TRANSFER, _rfc2136.TIMEOUT) <= MINUTE


KEYS_OF_OURS: dict[str, Callable[[Silent], dict[str, str]]] = {
    "powerdns": lambda server: {"powerdns_api_url": server.url, "powerdns_api_key": "T0K"},
    "spaceship": lambda server: {
        "spaceship_api_url": server.url,
        "spaceship_api_key": "K3Y",
        "spaceship_api_secret": "T0K",
    },
    "rfc2136": lambda server: {
        "rfc2136_server": "127.0.0.1",
        "rfc2136_port": str(server.port),
        "rfc2136_key_name": "tailwart",
        "rfc2136_key": "c2VjcmV0LW9mLXRoZS10ZXN0cw==",
        "rfc2136_algorithm": "hmac-sha256",
    },
}


def opened(name: str, server: Silent, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """A provider whose API is the silent server, its patience scaled down by the very bounds that it runs with."""
    known = definition(name)
    if name == "spaceship":
        monkeypatch.setattr(_spaceship_http, "TIMEOUT", (1.0, SHORT))
        monkeypatch.setattr(_spaceship_http, "sleep", lambda _: None)
    elif name == "rfc2136":
        monkeypatch.setattr(_rfc2136, "TIMEOUT", SHORT)
    else:
        monkeypatch.setattr(f"tailwart.providers.{name}.TIMEOUTS", (1.0, SHORT))
        monkeypatch.setattr("time.sleep", lambda _: None)
        monkeypatch.setattr("octodns_desec.DesecAPI.API_DOMAINS_URL", server.url)
    keys = KEYS_OF_OURS[name](server) if name in KEYS_OF_OURS else KEYS[name]
    provider = known.connect(known.keys.model_validate(keys), lambda _: None)
    if isinstance(provider, OctoDns):
        make = provider._backend.library
        backend = replace(provider._backend, library=lambda: at(make(), name, server.url))
        monkeypatch.setattr(provider, "_backend", backend)
    return provider


def at(library: Any, name: str, url: str) -> Any:
    """The library's object, its requests to the silent server."""
    match name:
        case "cloudflare":
            library.api_url = url
        case "hetzner":
            library._client._hcloud._client._endpoint = url
        case "ovh":
            library._client._endpoint = url
        case "route53":
            library._conn._endpoint.host = url
            # The address comes from the service's own description otherwise.
            library._conn._resolve_endpoint_ruleset = lambda *_, **__: (url, {}, {})
    return library


@pytest.mark.parametrize("name", sorted(definitions()))
def test_every_dns_provider_gives_up_and_says_what_to_check(
    silent: Silent, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    provider = opened(name, silent, monkeypatch)
    with pytest.raises(TailwartError) as caught:
        provider.read(ZONE)
    assert silent.connections, "it asked the silent server"
    assert len(silent.connections) <= 4
    assert caught.value.remedy
    named = f"127.0.0.1:{silent.port}" if name in KEYS_OF_OURS else provider._backend.host  # type: ignore[attr-defined]
    assert named in str(caught.value)
    assert "T0K" not in str(caught.value)


def test_the_policy_api_is_given_up_and_named(silent: Silent) -> None:
    pauses: list[float] = []
    client = policy.PolicyClient(
        silent.url, requesting.Credentials(api_key="tskey-api-T0K"), timeouts=(1, SHORT), sleep=pauses.append
    )
    with pytest.raises(TailwartError, match="nothing was written") as caught:
        client.read()
    assert silent.url in caught.value.seen
    assert "TS_API_URL" in caught.value.remedy
    assert len(silent.connections) == len(pauses) + 1 == 4


def test_a_silent_registry_is_given_up_and_named(silent: Silent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supply_http, "_TIMEOUTS", (1.0, SHORT))
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(TailwartError, match=silent.url) as caught:
        supply_http.get(requests.Session(), f"{silent.url}/v2/")
    assert "network" in caught.value.remedy
    assert len(silent.connections) == 3
