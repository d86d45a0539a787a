"""The edge role on the lab: what is reloaded and what is replaced, what it refuses, and how it shares :443."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from lab import credentials, hosts, programs, topology
from lab.engine import exec_arguments
from tests.lab import outside
from tests.lab.deploying import deploy, run_pyinfra, variant
from tests.lab.mailbox import shell, started
from tests.waiting import until

EDGE = "edge-1"
ADDRESS = topology.edge(1).ipv4
SERVE = "Edge: image, configuration and ports"
CADDYFILE = """# The shop, since 2019
{
	local_certs   # two   odd gaps
	skip_install_trust
}
shop.test {
	respond "the shop"
}
"""
WEB_UNIT = """[Service]
Environment=HOME=/root
ExecStart=/usr/local/bin/caddy run --config /etc/caddy/Caddyfile
ExecReload=/usr/local/bin/caddy reload --config /etc/caddy/Caddyfile --force
"""


@pytest.fixture
def served_edge(lab_environment: Path) -> Path:
    """The `.env` of a lab whose edge is deployed; what is behind it may be in any state."""
    deploy(lab_environment, "--limit", "edge")
    return lab_environment


def running_upstreams() -> str:
    """The addresses that the edge's Caddy dials now, asked of Caddy itself."""
    url = "http://edge/config/"
    config = shell(EDGE, f"docker exec tailwart-edge curl -fsS --unix-socket /run/caddy/admin.sock {url}")
    return " ".join(sorted({part.split('"')[0] for part in config.split('"dial":["')[1:]}))


@contextmanager
def served(kind: str) -> Iterator[None]:
    """The fake download service hands out another kind of binary."""
    url = f"http://127.0.0.1:{topology.published(8203)}/lab/variant"
    headers = {"X-Lab-Admin": credentials.load()["LAB_ADMIN_TOKEN"]}
    requests.post(url, json={"variant": kind}, headers=headers, timeout=20).raise_for_status()
    try:
        yield
    finally:
        requests.post(url, json={"variant": "caddy"}, headers=headers, timeout=20).raise_for_status()


def edge_deploy(path: Path, expect: int = 0) -> list[str]:
    """A deploy of the edge alone; the operations that changed something."""
    return deploy(path, "--limit", "edge", expect=expect).changes.get(EDGE, [])


@pytest.mark.leaves_deployed
def test_a_change_of_routes_alone_is_loaded_under_open_connections(deployed: Path, tmp_path: Path) -> None:
    before = started(EDGE)
    client = (
        "import socket,sys; c=socket.create_connection(('" + ADDRESS + "',143),timeout=120); f=c.makefile('rwb',0);"
        "print(f.readline().decode().strip(),flush=True); sys.stdin.readline();"
        "f.write(b'a NOOP\\r\\n'); print(f.readline().decode().strip(),flush=True)"
    )
    engine = hosts.running_engine()
    words = exec_arguments(topology.host("world").container, ["python3", "-c", client], stdin=True)
    with subprocess.Popen(
        ["docker", *words], env=engine.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as connection:
        assert connection.stdin is not None
        assert connection.stdout is not None
        assert connection.stdout.readline().startswith("* OK")
        assert edge_deploy(variant(deployed, tmp_path / "env", STALWART_MAGIC_NAME="elsewhere")) == [SERVE]
        assert "elsewhere.tailnet.test:25" in running_upstreams()
        connection.stdin.write("\n")
        connection.stdin.flush()
        assert connection.stdout.readline().startswith("a OK"), "the open connection was dropped"
    assert started(EDGE) == before, "nothing was restarted"
    assert edge_deploy(deployed) == [SERVE]
    assert edge_deploy(deployed) == []


def test_a_run_killed_between_writing_and_loading_is_healed(served_edge: Path, tmp_path: Path) -> None:
    shell(EDGE, "cp /opt/tailwart/edge/caddy.json /tmp/desired.json")
    edge_deploy(variant(served_edge, tmp_path / "env", STALWART_MAGIC_NAME="elsewhere"))
    # What such a run leaves: the desired file in place, the older configuration active.
    shell(EDGE, "mv /tmp/desired.json /opt/tailwart/edge/caddy.json")
    assert "elsewhere.tailnet.test:25" in running_upstreams()
    assert edge_deploy(served_edge) == [SERVE]
    assert "elsewhere" not in running_upstreams()


@pytest.mark.cases_follow
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("without-layer4", "lacks the module layer4"),
        ("without-proxy-protocol", "lacks the module layer4.handlers.proxy_protocol"),
        ("truncated", "does not run"),
    ],
)
def test_a_bad_binary_is_refused_by_name_and_the_edge_still_serves(
    deployed: Path, tmp_path: Path, kind: str, words: str
) -> None:
    before = started(EDGE)
    # Another set of modules is another image, so that one must be built.
    path = variant(deployed, tmp_path / "env", CADDY_PLUGINS="github.com/caddyserver/certmagic")
    with served(kind):
        run = deploy(path, "--limit", "edge", expect=1)
    assert words in run.last_lines
    assert "remedy" in run.last_lines
    assert started(EDGE) == before
    assert outside.connects("world", ADDRESS, 25, banner=True, timeout=20).banner.startswith("220 ")


def test_a_pinned_binary_is_insisted_on_and_the_right_pin_is_taken(served_edge: Path, tmp_path: Path) -> None:
    recorded = shell(EDGE, "cat /opt/tailwart/edge/caddy.sha256").split()[0]
    run = deploy(variant(served_edge, tmp_path / "wrong", CADDY_SHA256="0" * 64), "--limit", "edge", expect=1)
    assert recorded in run.last_lines
    pinned = variant(served_edge, tmp_path / "right", CADDY_SHA256=recorded)
    assert edge_deploy(pinned) == [SERVE]
    assert edge_deploy(pinned) == []
    images = shell(EDGE, "docker image ls --format '{{.Tag}}' tailwart-edge").split()
    assert "previous" in images
    assert len(images) == 3, "the image in use, the one before under its own tag and as `previous`"


def test_another_program_on_a_mail_port_is_named_before_anything_is_touched(served_edge: Path) -> None:
    shell(EDGE, "docker stop -t 2 tailwart-edge; systemd-run --unit=squatter nc -l -k 127.0.0.1 587")
    until(lambda: "587" in shell(EDGE, "ss -Hltn"), "the other program to listen")
    try:
        run = deploy(served_edge, "--limit", "edge", expect=1)
        assert "nc (pid" in run.last_lines
        assert "127.0.0.1:587" in run.last_lines
    finally:
        shell(EDGE, "systemctl stop squatter; systemctl reset-failed squatter 2>/dev/null; true")
    assert edge_deploy(served_edge) == [SERVE]


def test_the_container_follows_the_hosts_resolver(served_edge: Path) -> None:
    inside = "docker exec tailwart-edge cat /etc/resolv.conf"
    # In place, as tailscaled writes it where the file is a mount, which it is on the hosts of a lab.
    shell(EDGE, "cp /etc/resolv.conf /tmp/resolv.conf; echo 'options timeout:3' >>/etc/resolv.conf")
    until(lambda: "timeout:3" in shell(EDGE, inside), "the container to see the new resolver", 20)
    shell(EDGE, "cat /tmp/resolv.conf >/etc/resolv.conf")
    until(lambda: "timeout:3" not in shell(EDGE, inside), "the container to see the old resolver again", 20)
    assert edge_deploy(served_edge) == []


def test_a_host_that_was_logged_out_is_joined_again(served_edge: Path) -> None:
    shell(EDGE, "tailscale logout")
    run = run_pyinfra(served_edge, "-y", "--limit", "edge", "-vvv")
    assert run.code == 0, run.last_lines
    assert "tag:reverse-proxy" in shell(EDGE, "tailscale status --json --peers=false")
    assert edge_deploy(served_edge) == []


@pytest.fixture
def web_server(deployed: Path, tmp_path: Path) -> Iterator[str]:
    """A web Caddy on the edge host, holding :443 as it would before the edge came: no packet filter closes it."""
    apart = variant(deployed, tmp_path / "apart", HARDEN_SKIP=EDGE, EDGE_1_HTTPS="false")
    deploy(apart, "--limit", "edge")
    programs.ensure([programs.CADDY])
    binary = programs.binary("caddy").read_bytes()
    hosts.exec(EDGE, ["sh", "-c", "cat >/usr/local/bin/caddy && chmod 755 /usr/local/bin/caddy"], stdin=binary)
    hosts.exec(EDGE, ["sh", "-c", "mkdir -p /etc/caddy && cat >/etc/caddy/Caddyfile"], stdin=CADDYFILE.encode())
    hosts.exec(EDGE, ["sh", "-c", "cat >/etc/systemd/system/caddy.service"], stdin=WEB_UNIT.encode())
    shell(EDGE, "systemctl daemon-reload && systemctl start caddy")
    until(lambda: shop_answers(443), "the shop on :443")
    yield "/etc/caddy/Caddyfile"
    deploy(apart, "--limit", "edge")
    shell(EDGE, "systemctl stop caddy; rm -rf /etc/systemd/system/caddy.service /etc/caddy /usr/local/bin/caddy")
    deploy(deployed, "--limit", "edge")


def shop_answers(port: int) -> bool:
    """Whether the web server answers for its own name on this port of the edge host."""
    fetch = f"curl -sk --max-time 5 --connect-to shop.test:443:{ADDRESS}:{port} https://shop.test/"
    return "the shop" in shell("world", fetch, check=False)


def certificate_of(name: str) -> str:
    """The subject and issuer that answer for a name on the edge's :443."""
    client = f"openssl s_client -connect {ADDRESS}:443 -servername {name} </dev/null 2>/dev/null"
    return shell("world", f"{client} | openssl x509 -noout -issuer -subject", check=False)


def test_a_web_server_shares_443_and_gets_it_back(deployed: Path, web_server: str, tmp_path: Path) -> None:
    shared = variant(deployed, tmp_path / "env", EDGE_1_WEB=web_server)
    changes = edge_deploy(shared)
    assert f"Edge: {web_server} leaves :443 to the edge" in changes
    assert SERVE in changes
    until(lambda: shop_answers(443), "the shop through the edge")
    assert shop_answers(8443)
    issuer = until(lambda: certificate_of("mta-sts.tailwart.test") or None, "a certificate for a mail name", 30)
    assert "Caddy Local Authority" not in issuer, "mail names reach Stalwart"
    assert "Caddy Local Authority" in certificate_of("shop.test")
    assert edge_deploy(shared) == []
    # The one owner of :443 has to be named before anything changes.
    assert "EDGE_1_HTTPS=false" in deploy(deployed, "--limit", "edge", expect=1).last_lines
    assert shop_answers(443)
    apart = variant(deployed, tmp_path / "apart", EDGE_1_HTTPS="false", HARDEN_SKIP=EDGE)
    changes = edge_deploy(apart)
    assert SERVE in changes
    assert "Edge: a web Caddy no longer shared has :443 back" in changes
    assert shell(EDGE, f"cat {web_server}") == CADDYFILE
    assert shop_answers(443)
    assert edge_deploy(apart) == []
