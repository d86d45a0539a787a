"""A web Caddy behind the edge gets its certificate, and the next one, by TLS-ALPN-01 through the edge's :443."""

from __future__ import annotations

import json
import os
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dns.message
import dns.rdatatype
import dns.rrset
import pytest

from lab import pki, programs
from tailwart.edge import web
from tailwart.edge.caddy_config import WEB_HTTPS_PORT, EdgeRoutes
from tests.daemons import free_port
from tests.templates.edge.loopback import Edge
from tests.templates.edge.test_edge_web_share import alone, answers
from tests.waiting import until

__all__ = ["alone"]

SHOP = "shop.test"


class _Names(socketserver.StreamRequestHandler):
    """Every name is this machine; Pebble asks over TCP."""

    def handle(self) -> None:
        while size := self.rfile.read(2):
            query = dns.message.from_wire(self.rfile.read(int.from_bytes(size, "big")))
            answer = dns.message.make_response(query, recursion_available=True)
            if query.question[0].rdtype == dns.rdatatype.A:
                answer.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "127.0.0.1"))
            wire = answer.to_wire()
            self.wfile.write(len(wire).to_bytes(2, "big") + wire)


@contextmanager
def resolver() -> Iterator[int]:
    """A name server; its port."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Names) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


@contextmanager
def running(log: Path, *command: str | Path, **variables: str) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **variables})
    try:
        yield
    finally:
        process.terminate()
        process.wait(15)


@contextmanager
def authority(home: Path, tls_port: int) -> Iterator[str]:
    """Pebble, which validates at ``tls_port``; the address of its directory."""
    programs.ensure([programs.PEBBLE])
    pki.ensure_certificate(pki.authority(home), home, "pebble", ["127.0.0.1"])
    listen, management = free_port(), free_port()
    settings = {
        "listenAddress": f"127.0.0.1:{listen}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(home / "pebble.crt"),
        "privateKey": str(home / "pebble.key"),
        "httpPort": free_port(),
        "tlsPort": tls_port,
        "ocspResponderURL": "",
    }
    (home / "pebble.json").write_text(json.dumps({"pebble": settings}))
    words = (programs.binary("pebble"), "-config", home / "pebble.json", "-dnsserver")
    quick = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
    with resolver() as port, running(home / "pebble.log", *words, f"127.0.0.1:{port}", **quick):
        until(lambda: answers(listen), "Pebble")
        yield f"https://127.0.0.1:{listen}/dir"


def certificate(port: int) -> bytes:
    """What answers for the shop at the edge; empty when nothing does."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        return context.wrap_socket(connection, server_hostname=SHOP).getpeercert(binary_form=True) or b""
    return b""


@pytest.mark.usefixtures("alone")
def test_a_certificate_is_issued_and_renewed_while_the_edge_owns_443(caddy: Path, tmp_path: Path) -> None:
    routes = EdgeRoutes("stalwart.tail1234.ts.net", ("example.org",), web=True, services=())
    upstreams = {f"127.0.0.1:{WEB_HTTPS_PORT}": WEB_HTTPS_PORT, "stalwart.tail1234.ts.net:443": free_port()}
    edge = Edge(caddy, tmp_path, {443: free_port()}, upstreams)
    edge.write(routes)
    site, state = tmp_path / "Caddyfile", tmp_path / "web"
    variables = {"XDG_DATA_HOME": str(state), "XDG_CONFIG_HOME": str(state), "HOME": "/nonexistent"}
    with edge.running(), authority(tmp_path, edge.ports[443]) as directory:
        issuer = f"dir {directory}\n\t\t\ttrusted_roots {tmp_path}/ca.crt\n\t\t\tdisable_http_challenge"
        site.write_text(
            web.edit(
                f"{{\n\tadmin unix/{tmp_path}/web.sock\n\thttp_port {free_port()}\n\tskip_install_trust\n}}\n"
                f"{SHOP} {{\n\trespond shop\n\ttls {{\n\t\tissuer acme {{\n\t\t\t{issuer}\n\t\t}}\n\t}}\n}}\n"
            )
        )
        command = (caddy, "run", "--adapter", "caddyfile", "--config", site)
        with running(tmp_path / "web.log", *command, **variables):
            first = until(lambda: certificate(edge.ports[443]), "a certificate by way of the edge", 60)
        shutil.rmtree(state / "caddy" / "certificates")
        with running(tmp_path / "web.log", *command, **variables):
            second = until(lambda: certificate(edge.ports[443]), "the next certificate", 60)
    assert first != second
    log = (tmp_path / "web.log").read_text()
    assert '"challenge_type":"tls-alpn-01"' in log
