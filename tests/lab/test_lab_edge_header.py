"""The PROXY header on :443: an edge asks the real mailbox before it begins to send it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab import hosts
from tailwart.edge.image import DIRECTORY, RELOAD
from tests.lab.deploying import deploy
from tests.lab.mailbox import shell, started
from tests.waiting import until

EDGE = "edge-1"
CONFIGURATION = f"{DIRECTORY}/caddy.json"
INSIDE = "nsenter -t $(docker inspect -f '{{.State.Pid}}' ts-stalwart) -n"
BARE_PORT = 9443


def https_routes(document: dict[str, Any]) -> str:
    """What the edge does with connections to :443, as text."""
    servers = document["apps"]["layer4"]["servers"]
    return json.dumps(servers["https"]["routes"])


def running() -> str:
    """The routes of :443 that the edge's Caddy has loaded."""
    url = "http://edge/config/"
    answer = shell(EDGE, f"docker exec tailwart-edge curl -fsS --unix-socket /run/caddy/admin.sock {url}")
    return https_routes(json.loads(answer))


def without_header() -> None:
    """The edge as an earlier release has left it: connections to :443 are passed on bare."""
    document = json.loads(shell(EDGE, f"cat {CONFIGURATION}"))
    for route in document["apps"]["layer4"]["servers"]["https"]["routes"]:
        for handler in route["handle"]:
            handler.pop("proxy_protocol", None)
    text = json.dumps(document).encode()
    hosts.exec(EDGE, ["sh", "-c", f"cat >{CONFIGURATION}"], stdin=text)
    shell(EDGE, RELOAD)
    assert "proxy_protocol" not in running()


@contextmanager
def bare_mailbox() -> Iterator[None]:
    """A mailbox that takes a header for a broken handshake: another TLS server answers on its :443 for a while."""
    make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout /run/bare.key -out /run/bare.pem -days 1 -subj /CN=bare"
    serve = f"openssl s_server -quiet -accept {BARE_PORT} -cert /run/bare.pem -key /run/bare.key -www"
    redirect = f"PREROUTING -t nat -p tcp --dport 443 -j REDIRECT --to-ports {BARE_PORT}"
    shell("mailbox", f'{make} 2>/dev/null && systemd-run --quiet --unit=bare sh -c "exec {INSIDE} {serve}"')
    try:
        until(lambda: str(BARE_PORT) in shell("mailbox", f"{INSIDE} ss -Hltn"), "the other TLS server to listen")
        for family in ("iptables", "ip6tables"):
            shell("mailbox", f"{INSIDE} {family} -I {redirect}")
        yield
    finally:
        for family in ("iptables", "ip6tables"):
            shell("mailbox", f"{INSIDE} {family} -D {redirect}", check=False)
        shell("mailbox", "systemctl stop bare; rm -f /run/bare.key /run/bare.pem", check=False)


@pytest.mark.leaves_deployed
def test_an_edge_sends_no_header_to_a_mailbox_that_does_not_take_it(deployed: Path) -> None:
    before = started(EDGE)
    without_header()
    with bare_mailbox():
        run = deploy(deployed, "--limit", "edge", expect=1)
        assert "does not take the PROXY header on :443 yet" in run.last_lines
        assert "--limit mailbox" in run.last_lines
        assert "proxy_protocol" not in running()
    # The mailbox takes it again: the next run begins to send it, under open connections.
    deploy(deployed, "--limit", "edge")
    assert "proxy_protocol" in running()
    assert started(EDGE) == before
    assert deploy(deployed, "--limit", "edge").changes.get(EDGE, []) == []
