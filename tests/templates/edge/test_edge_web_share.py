"""A web Caddy gives :443 up and gets it back: the role's own steps, with the real Caddy as the web server."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from tailwart.edge import adapted, share, web
from tailwart.edge.caddy_config import WEB_HTTPS_PORT
from tailwart.edge.plan import EdgePlan
from tailwart.errors import TailwartError
from tailwart.runner import Completed
from tests.daemons import free_port
from tests.unit.edge.host_report import PLAN
from tests.waiting import until

SITE = """
# The shop, since 2019
shop.test {
	tls internal
	respond "shop for {http.request.remote.host}"   # two	odd   gaps
}
"""
# As `caddy adapt` writes it, with a layout of the operator's own.
JSON = """{"admin": {"listen": "unix/ADMIN"}, "apps": {"http":
  {"http_port": HTTP, "servers": {"shop": { "listen": [ ":443", "127.0.0.1:HTTP" ], "routes": [{
    "match": [{"host": ["shop.test"]}],
    "handle": [{"handler": "static_response", "body": "shop for {http.request.remote.host}"}]}]}}},
  "tls": {"automation": {"policies": [{"subjects": ["shop.test"], "issuers": [{"module": "internal"}]}]}},
  "pki": {"certificate_authorities": {"local": {"install_trust": false}}}}}
"""


@dataclass
class Machine:
    """This machine in the place of a host: its own Caddy in the PATH, the role's directory below a temporary one."""

    directory: Path
    caddy: Path

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        here = script.replace("/opt/tailwart", str(self.directory / "opt"))
        # A container of the tests runs no systemd: the role then talks to Caddy itself.
        environment = {
            "PATH": f"{self.caddy.parent}:{os.environ['PATH']}",
            "XDG_DATA_HOME": str(self.directory / "state"),
            "XDG_CONFIG_HOME": str(self.directory / "state"),
            "HOME": "/nonexistent",
        }
        script = f"systemctl() {{ return 3; }}\n{here}"
        result = subprocess.run(
            ["sh", "-c", script],
            input=stdin, env=environment, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        return Completed(result.returncode == 0, result.stdout, result.stderr)


@dataclass
class Web:
    """A running web Caddy and its Caddyfile."""

    machine: Machine
    caddyfile: Path
    port: int
    http_port: int

    @property
    def plan(self) -> EdgePlan:
        return replace(PLAN, caddyfile=str(self.caddyfile))


@pytest.fixture
def alone() -> Iterator[None]:
    """Tests side by side: the web server's ports, 443 and 8443, are one test's at a time."""
    with (Path(tempfile.gettempdir()) / "tailwart-test-8443.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def server(caddy: Path, tmp_path: Path, alone: None, request: pytest.FixtureRequest) -> Iterator[Web]:
    as_json = getattr(request, "param", "") == "json"
    # A JSON configuration names 443 itself; nobody else has it here.
    port = 443 if as_json else free_port()
    http_port = free_port()
    path = tmp_path / "etc" / ("caddy.json" if as_json else "Caddyfile")
    path.parent.mkdir()
    path.write_text(
        JSON.replace("HTTP", str(http_port)).replace("ADMIN", f"{tmp_path}/web.sock")
        if as_json
        else f"{{\n\tadmin unix/{tmp_path}/web.sock\n\thttp_port {http_port}\n\thttps_port {port}\n"
        f"\tskip_install_trust\n}}\n{SITE}"
    )
    path.chmod(0o640)
    machine = Machine(tmp_path, caddy)
    environment = {"XDG_DATA_HOME": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "state"), "HOME": "/"}
    with (tmp_path / "log").open("wb") as log:
        adapter = [] if as_json else ["--adapter", "caddyfile"]
        process = subprocess.Popen([caddy, "run", *adapter, "--config", path], stderr=log, env=environment)
        try:
            until(lambda: answers(port) or process.poll() is not None, "the web Caddy")
            assert process.poll() is None, (tmp_path / "log").read_text()
            yield Web(machine, path, port, http_port)
        finally:
            process.terminate()
            process.wait(15)


def greeting(port: int, visitor: str = "") -> str:
    """What the shop says on a port; with ``visitor`` through an edge that passes on that address."""
    return answer(port, visitor).rpartition("\r\n")[2]


def answer(port: int, visitor: str = "") -> str:
    """The whole answer, with its header."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        if visitor:
            header = ip_address(visitor).packed + ip_address(visitor).packed + bytes.fromhex("c350 01bb")
            family = b"\x21\x11" if len(header) == 12 else b"\x21\x21"
            connection.sendall(b"\r\n\r\n\x00\r\nQUIT\n" + family + len(header).to_bytes(2, "big") + header)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(connection, server_hostname="shop.test") as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
            return b"".join(iter(lambda: tls.recv(4096), b"")).decode()


def udp_ports() -> set[int]:
    """The UDP ports that something on this machine has, by the kernel's table."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:] + Path("/proc/net/udp6").read_text().splitlines()[1:]
    return {int(line.split()[1].rpartition(":")[2], 16) for line in lines}


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def test_the_web_server_moves_aside_and_comes_back(server: Web) -> None:
    before = server.caddyfile.read_bytes()
    share.move_aside(server.machine, server.plan)
    until(lambda: answers(WEB_HTTPS_PORT) and not answers(server.port), "the web Caddy on 8443")
    assert SITE.encode() in server.caddyfile.read_bytes()
    assert greeting(WEB_HTTPS_PORT, "203.0.113.9") == "shop for 203.0.113.9"
    assert greeting(WEB_HTTPS_PORT, "2001:db8::9") == "shop for 2001:db8::9"
    # HTTP/3 is between the visitor and that Caddy alone: it listens on UDP 8443, and says so to whoever comes by TCP.
    assert f'\r\nAlt-Svc: h3=":{WEB_HTTPS_PORT}"' in answer(WEB_HTTPS_PORT, "203.0.113.9")
    assert WEB_HTTPS_PORT in udp_ports()
    assert server.port not in udp_ports()
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=10)
    connection.request("GET", "/cart", headers={"Host": "shop.test"})
    redirected = connection.getresponse()
    assert redirected.status == 308
    assert redirected.getheader("Location") == "https://shop.test/cart", "to where the edge is"
    assert greeting(WEB_HTTPS_PORT) == "shop for 127.0.0.1", "who comes without a header is served all the same"
    assert server.caddyfile.stat().st_mode & 0o777 == 0o640
    kept = server.machine.directory / "opt" / "edge" / "web"
    assert (kept / "Caddyfile.original").read_bytes() == before
    assert (kept / "Caddyfile.original").stat().st_mode & 0o777 == 0o600
    assert not (kept / "reload-required").exists()
    assert [path.name for path in server.caddyfile.parent.iterdir()] == ["Caddyfile"], "no candidate stays behind"

    share.move_aside(server.machine, server.plan)
    assert (kept / "Caddyfile.original").read_bytes() == before, "a second edit does not overwrite the original"

    share.put_back(server.machine, str(server.caddyfile))
    until(lambda: answers(server.port) and not answers(WEB_HTTPS_PORT), "the web Caddy where it was")
    assert server.caddyfile.read_bytes() == before


@pytest.mark.parametrize("server", ["json"], indirect=True)
def test_a_json_configuration_moves_aside_and_comes_back_byte_for_byte(server: Web) -> None:
    before = server.caddyfile.read_bytes()
    share.move_aside(server.machine, server.plan)
    until(lambda: answers(WEB_HTTPS_PORT), "the web Caddy on 8443")
    assert greeting(WEB_HTTPS_PORT, "2001:db8::9") == "shop for 2001:db8::9"
    moved = server.caddyfile.read_bytes()
    share.move_aside(server.machine, server.plan)
    assert server.caddyfile.read_bytes() == moved, "a second edit changes nothing"
    # What the operator changes meanwhile stays.
    server.caddyfile.write_bytes(moved.replace(b"shop for", b"shop at"))
    share.put_back(server.machine, str(server.caddyfile))
    assert server.caddyfile.read_bytes() == before.replace(b"shop for", b"shop at")


def test_a_web_server_that_does_not_answer_behind_the_edge_keeps_443(server: Web) -> None:
    """Something else has 8443: Caddy cannot take it, and the edge must not take :443 from it."""
    before = server.caddyfile.read_bytes()
    with socket.create_server(("127.0.0.1", WEB_HTTPS_PORT)), pytest.raises(TailwartError, match="put back"):
        share.move_aside(server.machine, server.plan)
    assert server.caddyfile.read_bytes() == before
    assert answers(server.port)


def test_a_servers_option_of_ones_own_is_shown_the_lines_that_it_lacks(server: Web) -> None:
    text = server.caddyfile.read_text().replace("\tskip_install_trust\n", "\tskip_install_trust\n\tservers {\n\t}\n")
    server.caddyfile.write_text(text)
    with pytest.raises(TailwartError, match="visitors' addresses") as caught:
        share.move_aside(server.machine, server.plan)
    assert "allow 127.0.0.1/32" in caught.value.expected
    assert server.caddyfile.read_text() == text


def test_a_caddyfile_that_caddy_refuses_is_left_as_it_is(server: Web) -> None:
    broken = server.caddyfile.read_bytes() + b"bad.test {\n\tno_such_directive\n}\n"
    server.caddyfile.write_bytes(broken)
    with pytest.raises(TailwartError, match="no_such_directive"):
        share.move_aside(server.machine, server.plan)
    assert server.caddyfile.read_bytes() == broken
    assert answers(server.port), "what ran before still does"


def test_a_site_that_names_the_https_port_itself_is_refused_by_name(server: Web) -> None:
    text = server.caddyfile.read_text() + "pinned.test:443 {\n\ttls internal\n}\n"
    server.caddyfile.write_text(text)
    with pytest.raises(TailwartError, match=r"pinned\.test") as caught:
        share.move_aside(server.machine, server.plan)
    assert "take :443 out" in caught.value.remedy
    assert server.caddyfile.read_text() == text


def test_a_caddyfile_that_is_not_there(server: Web) -> None:
    with pytest.raises(TailwartError, match="_WEB"):
        share.move_aside(server.machine, replace(server.plan, caddyfile="/etc/nothing/Caddyfile"))


@pytest.mark.parametrize(
    "text",
    [
        "shop.test {\n\trespond shop\n}\n",
        "{\n\temail admin@example.org\n}\nshop.test, www.shop.test {\n\trespond shop\n}\n:8080 {\n}\n",
        "{\r\n\tdebug\r\n}\r\nshop.test {\r\n}\r\n",
        "(common) {\n\tencode gzip\n}\n{\n\thttps_port 4443 # mine\n}\nshop.test {\n\timport common\n}\n",
        "shop.test\n\nrespond shop\n",
        "# only a comment\n",
        'shop.test {\n\trespond <<END\n\t\t{\n\t\thttps_port 1\n\t\tEND 200\n\theader X "a { b"\n}\n',
    ],
)
def test_caddy_reads_an_edited_file_as_the_same_sites_on_another_port(caddy: Path, tmp_path: Path, text: str) -> None:
    def adapt(source: str) -> str:
        path = tmp_path / "Caddyfile"
        path.write_bytes(source.encode())
        result = subprocess.run(
            [caddy, "adapt", "--adapter", "caddyfile", "--config", path], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    adapted.check("Caddyfile", adapt(text), adapt(web.edit(text)))


def test_an_edit_that_changes_more_than_the_port_is_refused() -> None:
    before = '{"apps":{"http":{"servers":{"srv0":{"listen":[":443"],"routes":[]}}}}}'
    heard = '"listener_wrappers":[{"wrapper":"proxy_protocol"}]'
    after = f'{{"apps":{{"http":{{"https_port":8443,"servers":{{"srv0":{{"listen":[":8443"],{heard}}}}}}}}}}}'
    with pytest.raises(TailwartError, match="more than the port"):
        adapted.check("Caddyfile", before, after)
    with pytest.raises(TailwartError, match="does not take the https_port"):
        adapted.check("Caddyfile", before, before.replace("443", "8443"))
