"""The edge role on the lab: what is reloaded and what is replaced, what it refuses, and how it shares :443."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from lab import credentials, hosts, programs, topology
from lab.engine import exec_arguments
from tailwart.environment import Environment
from tests.lab import outside
from tests.lab.deploying import deploy, run_pyinfra, variant
from tests.lab.mailbox import shell, started
from tests.lab.outside import addresses
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


# Runs on world: idle connections, as many for each of its addresses as the limits at the door allow, and one message of
# 25 MB that is sent slowly enough to be under way when its standard input says that the edge has been reloaded.
_CLIENTS = """
import json, socket, sys, threading
edge, sources, each = sys.argv[1], sys.argv[2].split(","), int(sys.argv[3])
idle = [socket.create_connection((edge, 143), timeout=60, source_address=(s, 0)) for s in sources for _ in range(each)]
files = [c.makefile("rwb", 0) for c in idle]
greeted = sum(f.readline().startswith(b"* OK") for f in files)
upload = socket.create_connection((edge, 25), timeout=120); u = upload.makefile("rwb", 0)
def say(line):
    if line: u.write(line + b"\\r\\n")
    while (answer := u.readline())[3:4] == b"-": pass
    return answer.decode().strip()
envelope = (b"MAIL FROM:<friend@outside.test>", b"RCPT TO:<" + sys.argv[4].encode() + b">", b"DATA")
said = [say(line) for line in (b"", b"EHLO world.lab.test", *envelope)]
u.write(b"Subject: lab " + sys.argv[5].encode() + b"\\r\\n\\r\\n")
block, sent, reloaded = (b"x" * 998 + b"\\r\\n") * 250, 0, threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), reloaded.set()), daemon=True).start()
print("under way", flush=True)
while sent < 25_000_000:
    # The last quarter goes out after the reload.
    if sent >= 18_000_000: assert reloaded.wait(110), said
    u.write(block); sent += len(block)
accepted = say(b".")
for f in files: f.write(b"a NOOP\\r\\n")
alive = sum(f.readline().startswith(b"a OK") for f in files)
for f in files: f.write(b"b LOGOUT\\r\\n")
print(json.dumps({"greeted": greeted, "alive": alive, "accepted": accepted}))
"""


@pytest.mark.leaves_deployed
def test_a_reload_loses_no_idle_connection_and_no_message_that_is_under_way(
    deployed: Path, environment: Environment, tmp_path: Path
) -> None:
    before = started(EDGE)
    user = environment.accounts[0]
    address, token = f"{user.name}@{environment.domain}", uuid.uuid4().hex
    sources = [f"198.51.100.{number}" for number in range(205, 210)]
    engine = hosts.running_engine()
    with addresses(*sources):
        program = ["python3", "-c", _CLIENTS, ADDRESS, ",".join(sources), "200", address, token]
        words = exec_arguments(topology.host("world").container, program, stdin=True)
        with subprocess.Popen(
            ["docker", *words], env=engine.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as clients:
            assert clients.stdin is not None
            assert clients.stdout is not None
            assert clients.stdout.readline() == "under way\n"
            assert edge_deploy(variant(deployed, tmp_path / "env", STALWART_MAGIC_NAME="elsewhere")) == [SERVE]
            assert "elsewhere.tailnet.test:25" in running_upstreams()
            clients.stdin.write("\n")
            clients.stdin.flush()
            result = json.loads(clients.stdout.readline())
    assert result["accepted"].startswith("250"), result
    assert (result["greeted"], result["alive"]) == (1000, 1000), "open connections were dropped"
    assert started(EDGE) == before, "nothing was restarted"
    assert edge_deploy(deployed) == [SERVE]
    assert len(outside.read_back(address, user.password.get_secret_value(), token).as_string()) > 24_000_000
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


# Runs on world: one message that goes on until the edge takes no new connections, which is when its process is about to
# be replaced, and a moment longer.
_SLOW = """
import socket, sys, time
edge, recipient = sys.argv[1:]
s = socket.create_connection((edge, 25), timeout=120); f = s.makefile("rwb", 0)
def say(line):
    if line: f.write(line + b"\\r\\n")
    while (answer := f.readline())[3:4] == b"-": pass
    return answer.decode().strip()
envelope = (b"MAIL FROM:<friend@outside.test>", b"RCPT TO:<" + recipient.encode() + b">", b"DATA")
for line in (b"", b"EHLO world.lab.test", *envelope): said = say(line)
f.write(b"Subject: slow\\r\\n\\r\\n")
print("under way", said, flush=True)
for _ in range(600):
    f.write(b"still writing\\r\\n"); time.sleep(0.2)
    try: socket.create_connection((edge, 25), timeout=1).close()
    except OSError: break
time.sleep(2)
print(say(b"."), flush=True)
"""


@pytest.mark.leaves_deployed
def test_a_new_image_waits_for_the_message_that_is_under_way(
    deployed: Path, environment: Environment, tmp_path: Path
) -> None:
    recorded = shell(EDGE, "cat /opt/tailwart/edge/caddy.sha256").split()[0]
    recipient = f"{environment.accounts[0].name}@{environment.domain}"
    engine = hosts.running_engine()
    words = exec_arguments(topology.host("world").container, ["python3", "-c", _SLOW, ADDRESS, recipient], stdin=False)
    with subprocess.Popen(["docker", *words], env=engine.environment, stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdout is not None
        assert sender.stdout.readline().startswith("under way 354")
        before = started(EDGE)
        assert edge_deploy(variant(deployed, tmp_path / "pinned", CADDY_SHA256=recorded)) == [SERVE]
        assert started(EDGE) != before, "another image replaces the process"
        assert sender.stdout.readline().startswith("250"), "the message was cut off"
    assert edge_deploy(deployed) == [SERVE]


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
