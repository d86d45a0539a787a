"""The PROXY header on :443: an edge asks the mailbox first, with the real curl against mailboxes of every kind."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from lab import pki
from tailwart.edge import passing
from tailwart.edge.caddy_config import EdgeRoutes, document, render
from tailwart.edge.serve import activate
from tailwart.errors import TailwartError
from tailwart.runner import Completed
from tests.daemons import free_port, program
from tests.unit.edge.host_report import PLAN, up_to_date
from tests.unit.edge.test_edge_serve import SWAP, Host, trusting

ROUTES = EdgeRoutes("stalwart.tail1234.ts.net", ("example.org",))
# What the release before ran with on :443: passed on, without a header.
BARE = (
    render(ROUTES)
    .replace(',\n                  "proxy_protocol": "v2"', "")
    .replace('"proxy_protocol": "v2"', '"x": 1')
)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A certificate that nobody trusts: only the handshake counts."""
    home = tmp_path_factory.mktemp("tls")
    pki.ensure_certificate(pki.authority(home), home, "mail", ["mail.example.org"])
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(home / "mail.crt", home / "mail.key")
    return found


@contextmanager
def mailbox(context: ssl.SSLContext, *, trusting: bool) -> Iterator[int]:
    """A server on loopback that takes a header from everybody and demands it, or knows nothing of one."""

    def serve(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(20)
            try:
                if trusting:
                    line = b""
                    while not line.endswith(b"\n"):
                        line += connection.recv(1) or b"\n"
                        if not b"PROXY ".startswith(line[:6]):
                            connection.recv(1 << 16)
                            return time.sleep(7)  # a trusted peer without a header is left hanging
                with context.wrap_socket(connection, server_side=True) as tls:
                    tls.recv(4096)
                    tls.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            except OSError:
                return None
        return None

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield int(listener.getsockname()[1])


def here(port: int) -> passing.Runner:
    """Runs the probe on this machine; the mailbox's :443 is a port on loopback."""
    curl = program("curl", "Debian's curl")

    def run(script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        local = script.replace(f":{ROUTES.upstream}:443", f":127.0.0.1:{port}").replace("CURL", curl)
        done = subprocess.run(["sh", "-c", local], capture_output=True, text=True, timeout=timeout, check=False)
        return Completed(done.returncode == 0, done.stdout, done.stderr)

    return run


def test_a_mailbox_that_does_not_take_the_header_keeps_the_old_way(context: ssl.SSLContext) -> None:
    with (
        mailbox(context, trusting=False) as port,
        pytest.raises(TailwartError, match="does not take the PROXY header") as caught,
    ):
        passing.check(here(port), ROUTES, "CURL")
    assert "deploy.py --limit mailbox" in caught.value.remedy


def test_a_mailbox_that_takes_the_header_is_passed_on_to(context: ssl.SSLContext) -> None:
    with mailbox(context, trusting=True) as port:
        assert here(port)(passing.probe(ROUTES, "CURL")).stdout == "header\n"
        passing.check(here(port), ROUTES, "CURL")


def test_a_mailbox_that_is_down_holds_up_no_edge() -> None:
    assert here(free_port())(passing.probe(ROUTES, "CURL")).stdout == "nothing\n"
    passing.check(here(free_port()), ROUTES, "CURL")


def test_only_an_edge_that_begins_to_send_the_header_asks() -> None:
    assert passing.begins(ROUTES, BARE)
    assert passing.begins(ROUTES, "")
    assert passing.begins(ROUTES, "{}")
    assert not passing.begins(ROUTES, render(ROUTES))
    assert not passing.begins(replace(ROUTES, https=False), BARE)
    assert json.loads(BARE) != document(ROUTES)


def test_nothing_that_serves_is_touched_for_a_mailbox_that_is_not_ready(tmp_path: Path) -> None:
    old = Host(replace(up_to_date(), running=BARE), answers={"--haproxy-protocol": "bare\n"})
    with pytest.raises(TailwartError, match="does not take the PROXY header"):
        activate(old, PLAN, trusting)
    assert not old.ran(SWAP)
    for answer in ("header\n", "nothing\n"):
        ready = Host(replace(up_to_date(), running=BARE), answers={"--haproxy-protocol": answer})
        activate(ready, PLAN, trusting)
        assert ready.ran(SWAP)
    served = Host(up_to_date())
    activate(served, PLAN, trusting)
    assert not served.ran("--haproxy-protocol"), "an edge that sends it already asks nobody"
