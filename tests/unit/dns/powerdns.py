"""PowerDNS with its HTTP API, for tests: a real server on loopback ports."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.daemons import free_port, program, running
from tests.unit.dns.names import ADDRESS, Served
from tests.waiting import until

API_KEY = "api-key-of-the-tests"
_SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")


@dataclass(frozen=True)
class PowerDns(Served):
    """A running server and its API."""

    api: str

    def create(self, zone: str) -> None:
        """An empty zone: SOA and NS."""
        body = {"name": f"{zone}.", "kind": "Native", "nameservers": [f"ns.{zone}."], "soa_edit_api": "INCREASE"}
        self._call("POST", "/zones", body)

    def put(self, zone: str, name: str, rtype: str, *contents: str, ttl: int = 3600, disabled: bool = False) -> None:
        """A record set, written past the provider under test."""
        records = [{"content": content, "disabled": disabled} for content in contents]
        rrset = {"name": name, "type": rtype, "ttl": ttl, "changetype": "REPLACE", "records": records}
        self._call("PATCH", f"/zones/{zone}.", {"rrsets": [rrset]})

    def rrsets(self, zone: str) -> dict[tuple[str, str], list[str]]:
        """What the server holds, disabled records included."""
        found = self._call("GET", f"/zones/{zone}.").json()["rrsets"]
        return {(each["name"], each["type"]): [entry["content"] for entry in each["records"]] for each in found}

    def serial(self, zone: str) -> int:
        """Grows with every write."""
        return int(self._call("GET", f"/zones/{zone}.").json()["serial"])

    def answers(self) -> bool:
        """Whether the API is up."""
        try:
            return self._call("GET", "").ok
        except requests.RequestException:
            return False

    def _call(self, method: str, path: str, body: Any = None) -> requests.Response:
        url = f"{self.api}/api/v1/servers/localhost{path}"
        answer = requests.request(method, url, json=body, headers={"X-API-Key": API_KEY}, timeout=10)
        assert answer.ok, answer.text
        return answer


@contextmanager
def serving(directory: Path) -> Iterator[PowerDns]:
    """PowerDNS for the time of the block."""
    binary = program("pdns_server", "apt-get install pdns-server pdns-backend-sqlite3")
    if not _SCHEMA.exists():
        pytest.skip("needs PowerDNS's SQLite backend: apt-get install pdns-backend-sqlite3")
    database = directory / "zones.db"
    with sqlite3.connect(database) as connection:
        connection.executescript(_SCHEMA.read_text())
    port, api_port = free_port(), free_port()
    (directory / "pdns.conf").write_text(f"""\
launch=gsqlite3
gsqlite3-database={database}
gsqlite3-pragma-synchronous=0
local-address={ADDRESS}
local-port={port}
socket-dir={directory}
api=yes
api-key={API_KEY}
webserver=yes
webserver-address={ADDRESS}
webserver-port={api_port}
webserver-allow-from={ADDRESS}
guardian=no
daemon=no
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
""")
    with running([binary, f"--config-dir={directory}"], directory / "pdns.log"):
        server = PowerDns(port, f"http://{ADDRESS}:{api_port}")
        until(server.answers, f"PowerDNS, see {directory}/pdns.log", seconds=20, pause=0.05)
        yield server
