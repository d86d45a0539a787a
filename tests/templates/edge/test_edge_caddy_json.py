"""caddy.json, read and run by the real Caddy."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tailwart.edge.caddy_config import EdgeRoutes, document, render, same_meaning
from tailwart.network import DEFAULT_SERVICES, Services, ports
from tests.daemons import free_port
from tests.templates.edge.loopback import PROXY_V2, Edge, Upstream, client_hello
from tests.waiting import until

HOST = "stalwart.tail1234.ts.net"
MAIL_PORTS = ports(DEFAULT_SERVICES.public)
ROUTES = EdgeRoutes(HOST, ("example.org", "example.net"), web=True, vhost="mail.example.org")
WEB = "127.0.0.1:8443"


@pytest.fixture
def mailbox() -> Iterator[dict[str, Upstream]]:
    """One upstream per address that the document dials; mail ports greet, as a mail server does."""
    names = [f"{HOST}:{port}" for port in MAIL_PORTS]
    upstreams = {name: Upstream(b"220 ready\r\n") for name in names}
    upstreams |= {f"{HOST}:443": Upstream(), WEB: Upstream()}
    with ExitStack() as stack:
        for upstream in upstreams.values():
            stack.enter_context(upstream.running())
        yield upstreams


@pytest.fixture
def edge(caddy: Path, tmp_path: Path, mailbox: dict[str, Upstream]) -> Iterator[Edge]:
    ports = {port: free_port() for port in ROUTES.ports}
    edge = Edge(caddy, tmp_path, ports, {name: upstream.port for name, upstream in mailbox.items()})
    edge.write(ROUTES)
    with edge.running():
        yield edge


@pytest.mark.parametrize(("https", "web"), [(True, True), (True, False), (False, False)])
def test_caddy_accepts_the_document(caddy: Path, tmp_path: Path, https: bool, web: bool) -> None:
    config = tmp_path / "caddy.json"
    config.write_text(render(EdgeRoutes(HOST, ("example.org",), https=https, web=web)))
    result = subprocess.run(
        [caddy, "validate", "--config", config], check=False, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
@pytest.mark.parametrize("port", MAIL_PORTS)
def test_the_client_own_address_reaches_the_mailbox(
    edge: Edge, mailbox: dict[str, Upstream], port: int, family: int, address: str
) -> None:
    with socket.create_connection((address, edge.ports[port]), timeout=10) as client:
        # The greeting comes although the client said nothing: no matcher waits for its bytes.
        assert client.recv(64) == b"220 ready\r\n"
        source, source_port = client.getsockname()[:2]
    received = until(lambda: b"".join(mailbox[f"{HOST}:{port}"].received) or None, "the PROXY header", pause=0.02)
    assert received[:12] == PROXY_V2
    assert received[12] == 0x21, "version 2, command PROXY"
    length = 4 if family == socket.AF_INET else 16
    assert received[13] == (0x11 if family == socket.AF_INET else 0x21)
    assert socket.inet_ntop(family, received[16 : 16 + length]) == source
    assert int.from_bytes(received[16 + 2 * length : 18 + 2 * length], "big") == source_port


@pytest.mark.parametrize(
    ("name", "upstream"),
    [
        ("mta-sts.example.org", f"{HOST}:443"),
        ("autoconfig.example.net", f"{HOST}:443"),
        ("AutoDiscover.Example.Org", f"{HOST}:443"),
        ("www.example.org", WEB),
        ("deeper.mta-sts.example.org", WEB),
        ("mail.example.org", f"{HOST}:443"),
        ("mail.example.net", WEB),
        (None, WEB),
    ],
)
def test_https_fans_out_by_name_and_passes_bytes_untouched(
    edge: Edge, mailbox: dict[str, Upstream], name: str | None, upstream: str
) -> None:
    hello = client_hello(name)
    with socket.create_connection(("127.0.0.1", edge.ports[443]), timeout=10) as client:
        client.sendall(hello)
        source, source_port = client.getsockname()

        def received() -> bytes:
            return b"".join(mailbox[upstream].received)

        until(lambda: received().endswith(hello), f"the ClientHello at {upstream}", pause=0.02)
    header = received().removesuffix(hello)
    # The server must know who guesses passwords: the client, not the edge. So must the web server.
    assert header[:12] == PROXY_V2
    assert (socket.inet_ntoa(header[16:20]), int.from_bytes(header[24:26], "big")) == (source, source_port)
    assert [key for key, value in mailbox.items() if value.received] == [upstream]


def test_what_is_no_tls_goes_to_the_web_server(edge: Edge, mailbox: dict[str, Upstream]) -> None:
    with socket.create_connection(("127.0.0.1", edge.ports[443]), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
        until(lambda: b"GET /" in b"".join(mailbox[WEB].received), "the request", pause=0.02)


def test_a_web_server_that_was_moved_by_hand_gets_no_header_unless_it_asks() -> None:
    def header(addresses: bool) -> bool:
        routes = replace(ROUTES, web_addresses=addresses)
        return "proxy_protocol" in document(routes)["apps"]["layer4"]["servers"]["https"]["routes"][1]["handle"][0]

    assert header(True)
    assert not header(False)


def test_without_a_vhost_its_name_belongs_to_the_web_server() -> None:
    assert "mail.example.org" not in EdgeRoutes(HOST, ("example.org",), web=True).stalwart_names


def test_a_mail_only_edge_serves_the_mail_names_alone(edge: Edge, mailbox: dict[str, Upstream], tmp_path: Path) -> None:
    edge.write(replace(ROUTES, web=False))
    edge.reload()
    hello = client_hello("autoconfig.example.org")
    with socket.create_connection(("::1", edge.ports[443]), timeout=10) as client:
        client.sendall(hello)
        until(lambda: b"".join(mailbox[f"{HOST}:443"].received).endswith(hello), "the hello at the mailbox", pause=0.02)
    mailbox[f"{HOST}:443"].received.clear()
    context = ssl.create_default_context()
    with (
        socket.create_connection(("127.0.0.1", edge.ports[443]), timeout=10) as client,
        # An alert, not a silent end that a client would take for a broken network.
        pytest.raises(ssl.SSLError, match="ALERT"),
    ):
        context.wrap_socket(client, server_hostname="shop.example.org")
    with socket.create_connection(("127.0.0.1", edge.ports[443]), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
        assert client.recv(64) == b"", "what is no TLS is closed"
    assert not any(upstream.received for upstream in mailbox.values()), "nothing of others reaches the mailbox"


def test_an_edge_that_is_told_so_has_no_https() -> None:
    servers = document(EdgeRoutes(HOST, ("example.org",), https=False))["apps"]["layer4"]["servers"]
    assert sorted(server["listen"] for server in servers.values()) == [[":143"], [":25"], [":465"], [":587"], [":993"]]


def test_a_mailbox_that_is_down_closes_the_connection(caddy: Path, tmp_path: Path) -> None:
    names = [f"{HOST}:{port}" for port in MAIL_PORTS]
    edge = Edge(caddy, tmp_path, {port: free_port() for port in MAIL_PORTS}, {name: free_port() for name in names})
    edge.write(EdgeRoutes(HOST, ("example.org",), https=False))
    with edge.running(), socket.create_connection(("127.0.0.1", edge.ports[25]), timeout=20) as client:
        assert client.recv(64) == b""


def test_a_mailbox_that_comes_back_in_time_is_reached(caddy: Path, tmp_path: Path) -> None:
    upstream = Upstream(b"220 ready\r\n", port=free_port())
    names = {f"{HOST}:{port}": upstream.port for port in MAIL_PORTS}
    edge = Edge(caddy, tmp_path, {port: free_port() for port in MAIL_PORTS}, names, retry="20s")
    edge.write(EdgeRoutes(HOST, ("example.org",), https=False))
    with edge.running(), socket.create_connection(("127.0.0.1", edge.ports[25]), timeout=20) as client:
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(64)
        client.settimeout(20)
        with upstream.running():
            assert client.recv(64) == b"220 ready\r\n"


def test_a_reload_keeps_open_connections(edge: Edge, mailbox: dict[str, Upstream]) -> None:
    upstream = mailbox[f"{HOST}:993"]
    with socket.create_connection(("::1", edge.ports[993]), timeout=10) as client:
        assert client.recv(64) == b"220 ready\r\n"
        edge.write(EdgeRoutes(HOST, ("example.com",), web=True))
        edge.reload()
        hello = client_hello("mta-sts.example.com")
        with socket.create_connection(("127.0.0.1", edge.ports[443]), timeout=10) as other:
            other.sendall(hello)
            until(lambda: bool(mailbox[f"{HOST}:443"].received), "the new route", pause=0.02)
        client.sendall(b"ping\n")
        assert client.recv(64) == b"pong\n"
    assert upstream.received[0].endswith(b"ping\n")


def test_a_reload_closes_a_service_that_is_off_and_opens_one_that_is_on(
    edge: Edge, mailbox: dict[str, Upstream]
) -> None:
    edge.ports[995], edge.upstreams[f"{HOST}:995"] = free_port(), mailbox[f"{HOST}:993"].port
    edge.write(EdgeRoutes(HOST, ("example.org",), services=Services.parse("smtp,submissions:tailnet,pop3s").public))
    edge.reload()
    with socket.create_connection(("127.0.0.1", edge.ports[995]), timeout=10) as client:
        assert client.recv(64) == b"220 ready\r\n"
    for port in (465, 587, 143, 993):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", edge.ports[port]), timeout=10)


def test_meaning_is_compared_not_text() -> None:
    text = render(ROUTES)
    assert same_meaning(text, text.replace("\n", "").replace("  ", ""))
    assert not same_meaning(text, render(EdgeRoutes(HOST, ("example.org",), web=True)))
    assert not same_meaning("curl: (7) refused", text)


def test_values_cannot_break_out_of_the_document() -> None:
    hostile = 'x"}],"y":[{'
    written = json.loads(render(EdgeRoutes(hostile, ("example.org",))))
    handler = written["apps"]["layer4"]["servers"]["smtp"]["routes"][0]["handle"][0]
    assert handler["upstreams"] == [{"dial": [f"{hostile}:25"]}]
