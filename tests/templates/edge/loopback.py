"""A real Caddy on loopback with the edge's own document, and raw-socket upstreams that tell what reached them."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tailwart.edge.caddy_config import EdgeRoutes, document
from tests.waiting import until

PROXY_V2 = b"\r\n\r\n\x00\r\nQUIT\n"


@dataclass
class Upstream:
    """Accepts connections on loopback, greets first as a mail server does, and keeps what each client sent."""

    greeting: bytes = b""
    received: list[bytes] = field(default_factory=list)
    port: int = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[Upstream]:
        with socket.create_server(("127.0.0.1", self.port)) as server:
            self.port = server.getsockname()[1]
            stopped = threading.Event()
            thread = threading.Thread(target=self._serve, args=(server, stopped), daemon=True)
            thread.start()
            yield self
            stopped.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)

    def _serve(self, server: socket.socket, stopped: threading.Event) -> None:
        while not stopped.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        index = len(self.received)
        self.received.append(b"")
        with connection:
            connection.sendall(self.greeting)
            with contextlib.suppress(OSError):
                while data := connection.recv(4096):
                    self.received[index] += data
                    if data.endswith(b"ping\n"):
                        connection.sendall(b"pong\n")


@dataclass
class Edge:
    """A running Caddy: the document it was given, where it listens for each public port, its admin socket."""

    binary: Path
    directory: Path
    ports: dict[int, int]
    upstreams: dict[str, int]
    retry: str = "200ms"

    @property
    def admin(self) -> Path:
        return self.directory / "admin.sock"

    @property
    def config(self) -> Path:
        return self.directory / "caddy.json"

    def write(self, routes: EdgeRoutes) -> None:
        """The role's own document with nothing changed but ports, dial addresses, admin socket and patience."""
        changed = document(routes)
        changed["admin"]["listen"] = f"unix/{self.admin}|0222"
        for server in changed["apps"]["layer4"]["servers"].values():
            server["listen"] = [f":{self.ports[int(address.rpartition(':')[2])]}" for address in server["listen"]]
            for handler in _handlers(server):
                handler["load_balancing"]["try_duration"] = self.retry
                for upstream in handler["upstreams"]:
                    upstream["dial"] = [f"127.0.0.1:{self.upstreams[address]}" for address in upstream["dial"]]
        self.config.write_text(json.dumps(changed))

    @contextlib.contextmanager
    def running(self) -> Iterator[Edge]:
        with (self.directory / "caddy.log").open("wb") as log:
            process = subprocess.Popen([self.binary, "run", "--config", self.config], stderr=log, env=self._env)
            try:
                # The admin socket is there before the ports are.
                until(lambda: self._serving or process.poll() is not None, "Caddy to serve", pause=0.02)
                assert process.poll() is None, (self.directory / "caddy.log").read_text()
                yield self
            finally:
                process.terminate()
                process.wait(15)

    def reload(self) -> None:
        subprocess.run(
            [self.binary, "reload", "--config", self.config, "--address", f"unix/{self.admin}"],
            check=True, capture_output=True, env=self._env, timeout=60,
        )  # fmt: skip

    def connect(self, port: int) -> socket.socket:
        """A connection to one of the public ports."""
        return socket.create_connection(("127.0.0.1", self.ports[port]), timeout=10)

    def running_document(self) -> str:
        """The configuration that Caddy runs with, asked of Caddy itself."""
        return subprocess.run(
            ["curl", "-fsS", "--unix-socket", self.admin, "http://edge/config/"],
            check=True, capture_output=True, text=True, timeout=60,
        ).stdout  # fmt: skip

    @property
    def _serving(self) -> bool:
        return "serving initial configuration" in (self.directory / "caddy.log").read_text()

    @property
    def _env(self) -> dict[str, str]:
        # PATH is of no use to Caddy; its state directories must not be the developer's own.
        return {"XDG_DATA_HOME": str(self.directory), "XDG_CONFIG_HOME": str(self.directory), "HOME": "/nonexistent"}


def client_hello(server_name: str | None) -> bytes:
    """The first flight of a TLS client, with or without SNI."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def _handlers(server: dict[str, Any]) -> list[dict[str, Any]]:
    handlers = [handler for route in server["routes"] for handler in route["handle"]]
    return [handler for handler in handlers if handler["handler"] == "proxy"]
