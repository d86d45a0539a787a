"""The server under test: the stand-in, or the binary that STALWART_BINARY names."""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import programs
from tests.contract.namespace import Namespace
from tests.contract.versions import under_test
from tests.daemons import running
from tests.waiting import until

USING = ["urn:ietf:params:jmap:core", "urn:stalwart:jmap"]
RECOVERY = ("admin", "recovery-pass")

# What the recorded server had in its environment; NOT_SET is missing on purpose.
SECRETS = {
    "STALWART_RELAY_PASSWORD": "relay-secret",
    "STALWART_S3_SECRET": "s3-secret",
    "SPACESHIP_API_SECRET": "spaceship-secret",
    "STALWART_DB_PASSWORD": "database-secret",
}


def binary() -> Path:
    """Path of the binary; the stand-in is compiled when its sources changed."""
    if given := os.environ.get("STALWART_BINARY"):
        return Path(given).resolve()
    programs.ensure([programs.STANDIN])
    return programs.binary("stalwart")


@dataclass
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str]


class Server:
    """A server with its data in a directory; started and stopped as often as a test needs."""

    def __init__(self, space: Namespace, directory: Path, store: Mapping[str, Any], version: str | None = None) -> None:
        self.space = space
        self.version = version or under_test()[0]
        self.store = store
        self.log = directory / "server.log"
        self._config = directory / "config.json"
        self._config.write_text(json.dumps(store))

    @contextmanager
    def running(self, environment: Mapping[str, str] | None = None, port: int = 8080) -> Iterator[None]:
        """The server for the time of the block, ready for requests on `port`."""
        variables = {**self._environment(), **(environment or {})}
        with running(self.space.command(binary(), "--config", self._config), self.log, variables) as process:
            until(lambda: self._listens(process, port), f"port {port} of the server", seconds=40, pause=0.1)
            yield

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **SECRETS, "LAB_STALWART_VERSION": self.version}

    def _listens(self, process: subprocess.Popen[bytes], port: int) -> bool:
        assert process.poll() is None, f"the server ended: {self.log.read_text()[-2000:]}"
        try:
            self.space.connect(port, timeout=2).close()
        except OSError:
            return False
        return True

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """The binary's own command line, with the server's config and more environment."""
        command = self.space.command(binary(), "--config", self._config, *arguments)
        variables = {**self._environment(), **environment}
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=variables)

    def http(
        self, method: str, path: str, auth: tuple[str, str] | str | None = None, body: bytes | None = None
    ) -> Answer:
        """One request to 8080 from inside the namespace; `auth` is Basic (a pair) or Bearer (a string)."""
        status, headers, text = self._exchange(method, path, auth, body)
        kind = headers.get("Content-Type", "")
        return Answer(status, json.loads(text) if "json" in kind else text.decode(), headers)

    def download(self, path: str, auth: tuple[str, str] | str) -> bytes:
        """The octets of a GET as they travelled."""
        status, _, octets = self._exchange("GET", path, auth, None)
        assert status == 200, (path, status)
        return octets

    def _exchange(
        self, method: str, path: str, auth: tuple[str, str] | str | None, body: bytes | None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=30)
        connection.sock = self.space.connect(8080, timeout=30)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if isinstance(auth, tuple):
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(auth).encode()).decode()
        elif auth is not None:
            headers["Authorization"] = f"Bearer {auth}"
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, {name.title(): value for name, value in response.headers.items()}, response.read()
        finally:
            connection.close()

    def call(self, auth: tuple[str, str] | str, *calls: tuple[str, dict[str, Any]]) -> list[tuple[str, Any]]:
        """Method calls in one request; the answers as (name, arguments)."""
        request = {"using": USING, "methodCalls": [[name, body, str(n)] for n, (name, body) in enumerate(calls)]}
        answer = self.http("POST", "/jmap/", auth, json.dumps(request).encode())
        assert answer.status == 200, answer
        return [(name, body) for name, body, _ in answer.body["methodResponses"]]
