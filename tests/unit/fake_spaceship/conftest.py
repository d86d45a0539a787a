"""A real Knot with one empty zone, and the fake Spaceship API in front of it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.query
import pytest
import requests

from lab.control.faults import Faults
from lab.control.server import running as serving
from lab.control.spaceship import NameServer, Registry, create_app
from tests.daemons import free_port, program, running
from tests.waiting import until

ZONE = "example.test"
KEY, SECRET = "key", "secret"
TSIG = ("fake-api.", "hmac-sha256", base64.b64encode(b"0" * 32).decode())

_KNOT = """
server:
    rundir: {home}
    listen: 127.0.0.1@{port}
log:
  - target: stderr
    any: warning
database:
    storage: {home}
key:
  - id: {key}
    algorithm: {algorithm}
    secret: {secret}
acl:
  - id: write
    key: {key}
    action: [ update, transfer ]
zone:
  - domain: {zone}
    storage: {home}
    file: zone
    acl: write
    zonefile-load: difference
    journal-content: changes
"""


@dataclass(frozen=True)
class Knot:
    port: int

    def ask(self, name: str, kind: str) -> list[str]:
        """What the authoritative server answers, as sorted presentation text."""
        query = dns.message.make_query(name, kind)
        query.flags &= ~0x0100
        answer = dns.query.tcp(query, "127.0.0.1", 5, self.port)
        return sorted(data.to_text() for rrset in answer.answer for data in rrset)

    @property
    def server(self) -> NameServer:
        return NameServer("127.0.0.1", self.port, TSIG)


@pytest.fixture
def knot(tmp_path: Path) -> Iterator[Knot]:
    binary = program("knotd", "`apt-get install knot`")
    port = free_port()
    config = tmp_path / "knot.conf"
    key, algorithm, secret = TSIG
    config.write_text(_KNOT.format(home=tmp_path, port=port, key=key, algorithm=algorithm, secret=secret, zone=ZONE))
    (tmp_path / "zone").write_text(
        "$TTL 300\n@ SOA ns1.lab.test. h.lab.test. 1 3600 600 86400 60\n@ NS ns1.lab.test.\n"
    )
    with running([binary, "-c", str(config)], tmp_path / "log"):
        knot = Knot(port)

        def loaded() -> bool:
            try:
                return bool(knot.ask(ZONE, "SOA"))
            except OSError:
                return False

        until(loaded, f"knot to serve {ZONE}; log: {tmp_path / 'log'}", 15, 0.05)
        yield knot


@dataclass(frozen=True)
class Api:
    """The fake API over HTTP, as a client sees it."""

    url: str
    faults: Faults
    session: requests.Session

    def call(self, method: str, path: str = f"/{ZONE}", **arguments: object) -> requests.Response:
        url = f"{self.url}/api/v1/dns/records{path}"
        return self.session.request(method, url, timeout=30, **arguments)  # type: ignore[arg-type]  # keyword pass-through

    def items(self) -> list[dict[str, object]]:
        answer = self.call("GET", params={"take": 500, "skip": 0})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    def put(self, *items: Mapping[str, object], force: bool = False) -> requests.Response:
        return self.call("PUT", json={"force": force, "items": list(items)})

    def delete(self, *items: Mapping[str, object]) -> requests.Response:
        return self.call("DELETE", json=list(items))


@pytest.fixture
def serve() -> Iterator[Callable[..., Api]]:
    """A fake API over any registry; all are closed at the end."""
    with ExitStack() as stack:

        def start(registry: Registry, rate: tuple[int, float] = (10_000, 300)) -> Api:
            faults = create_app(registry, KEY, SECRET, rate)
            session = stack.enter_context(requests.Session())
            session.headers.update({"X-Api-Key": KEY, "X-Api-Secret": SECRET})
            return Api(stack.enter_context(serving(faults)), faults, session)

        yield start


@pytest.fixture
def api(serve: Callable[..., Api]) -> Api:
    """Without a name server: the contract of the list alone."""
    return serve(Registry([ZONE]))


@pytest.fixture
def live(serve: Callable[..., Api], knot: Knot) -> Api:
    """Every write is published before it is answered."""
    return serve(Registry([ZONE], knot.server))
