"""A simulated mailbox host: a directory, a `docker` on PATH, and a scripted server behind real HTTP.

The shell scripts of the settings plane run as they are, with the real curl; only docker and Stalwart are simulated.
`kill_at` lets a run die before or after its n-th command on the host, as a broken connection or a killed deploy would.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import subprocess
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from tailwart.runner import Completed
from tailwart.stalwart.lifecycle import bootstrap
from tailwart.stalwart.lifecycle.server import Server
from tailwart.stalwart.settings.inputs import MailboxSettings
from tests.unit.stalwart.scripted_server import ScriptedServer

DOCKER = """#!/bin/sh
# Stands in for docker, with one container whose state is in files beside this script.
here=$(dirname "$0")
case "$1" in
inspect)
  [ -f "$here/running" ] || exit 1
  case "$3" in
    *Status*) echo "running $(cat "$here/started") stalwartlabs/stalwart:v0.16.7" ;;
    *StartedAt*) cat "$here/started" ;;
    *Running*) echo true ;;
  esac ;;
exec)
  shift; [ "$1" = -i ] && shift; shift
  [ -f "$here/running" ] || { echo "Error response from daemon: container is not running" >&2; exit 1; }
  if [ "$1" = cat ]; then cat "$here/sockets"; else exec "$@"; fi ;;
restart) curl -sf -X POST "$(cat "$here/control")/restart" ;;
logs) echo "the log of the server" ;;
esac
"""


class Killed(Exception):
    """The run dies here."""


@dataclass
class SimulatedHost:
    """Stalwart starts with `up`; what its process was started with is in `environment`."""

    directory: Path
    server: ScriptedServer = field(default_factory=ScriptedServer)
    environment: dict[str, str] = field(default_factory=dict)
    starts: int = 0
    commands: int = 0
    kill_at: tuple[int, str] | None = None
    scripts: list[str] = field(default_factory=list)
    # What it publishes of its objects; None: nothing, and writes are then not checked.
    schema: dict[str, Any] | None = None
    digest: str = ""
    schemas_sent: int = 0

    def __post_init__(self) -> None:
        self.bin = self.directory / "bin"
        self.home = self.directory / "mailbox"
        self.bin.mkdir()
        self.home.mkdir()
        (self.bin / "docker").write_text(DOCKER)
        (self.bin / "docker").chmod(0o755)
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.answer(self, None)

            def do_POST(self) -> None:
                host.answer(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.http.server_port}"
        (self.bin / "control").write_text(self.base)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    # -- the server ------------------------------------------------------------------------------------------------

    def answer(self, request: BaseHTTPRequestHandler, body: bytes | None) -> None:
        status, document = self._respond(request.path, request.headers.get("Authorization", ""), body)
        data = json.dumps(document).encode()
        if status == 404 and self.schema is not None and request.path.startswith("/api/schema"):
            status, data = self._schema(request)
        request.send_response(status)
        if status == 302:
            request.send_header("Location", f"/api/schema/{self.digest}")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def _schema(self, request: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        """A redirect to the schema, or the schema itself, compressed as the server sends it."""
        compressed = gzip.compress(json.dumps(self.schema).encode())
        self.digest = hashlib.sha256(compressed[10:]).hexdigest()
        if request.path == f"/api/schema/{self.digest}":
            self.schemas_sent += 1
            return 200, compressed
        return 302, b""

    def _respond(self, path: str, authorization: str, body: bytes | None) -> tuple[int, dict[str, Any]]:
        if path == "/restart":
            self.start()
            return 200, {}
        if path == "/healthz/live":
            return 200, {"status": 200}
        if not self._accepts(authorization):
            return 401, {"type": "about:blank", "status": 401, "title": "Unauthorized"}
        if path.startswith("/api/"):
            return 404, {"type": "about:blank", "status": 404, "title": "Not Found"}
        if body is None:
            return 200, {"primaryAccounts": {"urn:stalwart:jmap": "d333333"}}
        assert '"accountId": "d333333"' in body.decode()
        (response,) = self.server.exchange([body.decode()])
        return response.status, json.loads(response.body)

    def _accepts(self, authorization: str) -> bool:
        if authorization.startswith("Bearer "):
            return authorization.removeprefix("Bearer API_") in self.server.objects["ApiKey"]
        user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        if self.environment.get("STALWART_RECOVERY_ADMIN") == f"{user}:{password}":
            return True
        for item in self.server.objects["Account"].values():
            domain = self.server.objects["Domain"][item["domainId"]]["name"]
            if f"{item['name']}@{domain}" == user and item["credentials"]:
                try:
                    return PasswordHasher().verify(item["credentials"]["0"]["secret"], password)
                except VerificationError:
                    return False
        return False

    def start(self) -> None:
        """A new process: it reads the environment file, and binds the listeners that are declared now."""
        self.starts += 1
        self.server.paused = False
        lines = (self.home / "bootstrap.env").read_text().splitlines()
        self.environment = dict(line.split("=", 1) for line in lines if "=" in line)
        (self.bin / "started").write_text(f"2026-11-21T00:00:{self.starts:02d}Z\n")
        binds = [bind for item in self.server.objects["NetworkListener"].values() for bind in item["bind"]]
        rows = [f" 0: {'0' * 32}:{int(bind.rpartition(':')[2]):04X} {'0' * 32}:0000 0A 0 0 0" for bind in binds]
        (self.bin / "sockets").write_text("\n".join(rows))
        (self.bin / "running").touch()

    # -- the host --------------------------------------------------------------------------------------------------

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        self.commands += 1
        self.scripts.append(script)
        if self.kill_at == (self.commands, "before"):
            raise Killed
        environment = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["sh", "-c", script], input=stdin, capture_output=True, text=True, timeout=60, env=environment, check=False
        )
        if self.kill_at == (self.commands, "after"):
            raise Killed
        return Completed(done.returncode == 0, done.stdout, done.stderr)

    def up(self) -> None:
        """Compose: starts the container, or recreates it when its environment differs from the file."""
        lines = (self.home / "bootstrap.env").read_text().splitlines()
        desired = dict(line.split("=", 1) for line in lines if "=" in line)
        if not (self.bin / "running").exists() or desired != self.environment:
            self.start()

    def plane(self, settings: MailboxSettings) -> Server:
        return Server(self, settings, self.up, directory=str(self.home), base=self.base)

    def deploy(self, settings: MailboxSettings) -> None:
        """What the mailbox role does, in its order."""
        if not bootstrap.prepared(self, str(self.home)):
            bootstrap.prepare(self, str(self.home))
        self.up()
        plane = self.plane(settings)
        observed = plane.observe()
        if not observed.up_to_date:
            plane.apply(observed)
