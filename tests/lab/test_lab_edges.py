"""Two edges in the inventory: both are doors to the same mailbox, and one of them may be away."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import dotenv, hosts, issuer, lifecycle, topology
from lab.engine import exec_arguments
from tailwart.environment import Environment
from tests.lab import outside
from tests.lab.deploying import deploy, environment_of, variant
from tests.lab.mailbox import shell
from tests.lab.test_lab_edge import SERVE
from tests.lab.test_lab_guessing import tailwart
from tests.waiting import until

FIRST, SECOND = topology.edge(1), topology.edge(2)
MESSAGES = 2000


@pytest.fixture(scope="module")
def two_edges(lab_environment: Path) -> Iterator[Path]:
    """The lab's `.env` with a second edge host; back to one edge afterwards."""
    lifecycle.up(2)
    deploy(dotenv.path())
    yield dotenv.path()
    lifecycle.up(1)
    deploy(dotenv.path())


def upstream(host: str) -> str:
    """The mailbox's name in what this edge's Caddy runs with."""
    return shell(host, "grep -o '[a-z]*[.]tailnet[.]test:25' /opt/tailwart/edge/caddy.json").strip()


def test_two_edges_both_serve_and_the_second_run_changes_nothing(two_edges: Path) -> None:
    environment = environment_of(two_edges)
    assert [edge.name for edge in environment.edges] == ["edge-1", "edge-2"]
    assert deploy(two_edges).changes == {}
    user = environment.accounts[0]
    address = f"{user.name}@{environment.domain}"
    for edge in (FIRST, SECOND):
        for door, client in ((edge.ipv4, outside.WORLD_ADDRESS), (edge.ipv6, topology.WORLD.ipv6)):
            token = outside.mail_in(address, door)
            message = outside.read_back(address, user.password.get_secret_value(), token, door)
            assert client in message.get_all("Received", [])[0], "the server sees the client's own address"
        _serves_the_mail_names_alone(environment, edge)
        assert 'comment "tailwart_door' in shell(edge.name, "nft list chain inet tailwart_door input")


def _serves_the_mail_names_alone(environment: Environment, edge: topology.Host) -> None:
    """Without a web server: MTA-STS and autoconfig by the mailbox's own certificate, and an alert for other names."""

    def get(name: str, path: str, address: str) -> str:
        where = f"--connect-to {name}:443:{address}:443 https://{name}{path}"
        return shell("world", f"curl -sS --max-time 20 --cacert {issuer.ON_WORLD} {where} 2>&1", check=False)

    domain = environment.domain
    where = (f"mta-sts.{domain}", "/.well-known/mta-sts.txt", edge.ipv4)
    policy = until(lambda: get(*where) if "STSv1" in get(*where) else "", "the MTA-STS policy", 60)
    assert f"mx: mail.{domain}" in policy
    config = get(f"autoconfig.{domain}", f"/mail/config-v1.1.xml?emailaddress=alice@{domain}", f"[{edge.ipv6}]")
    assert f"mail.{domain}" in config
    discovered = get(f"autodiscover.{domain}", "/autodiscover/autodiscover.xml", edge.ipv4)
    assert "curl:" not in discovered, "TLS and HTTP answer there"
    assert "alert" in get("shop.test", "/", edge.ipv4)


def test_an_edge_that_is_away_is_skipped_told_and_healed_and_any_edge_goes_back(
    two_edges: Path, tmp_path: Path
) -> None:
    changed = variant(two_edges, tmp_path / "env", STALWART_MAGIC_NAME="elsewhere")
    shell(SECOND.name, "systemctl stop ssh.socket 2>/dev/null; systemctl stop ssh")
    try:
        run = deploy(changed, "--limit", "edge", expect=1)
        assert run.changes.get("edge-1") == [SERVE]
        assert "Failed: edge-2" in run.last_lines
        assert (upstream("edge-1"), upstream("edge-2")) == ("elsewhere.tailnet.test:25", "stalwart.tailnet.test:25")
    finally:
        shell(SECOND.name, "systemctl start ssh")
    assert deploy(changed, "--limit", "edge").changes == {"edge-2": [SERVE]}
    before = upstream("edge-2")
    rolled = tailwart(two_edges, "edge", "rollback", "--all")
    assert [item["edge"] for item in rolled["edges"]] == ["edge-1", "edge-2"]
    assert {upstream("edge-1"), upstream("edge-2")} == {"stalwart.tailnet.test:25"} != {before}
    assert outside.connects("world", SECOND.ipv4, 25, banner=True, timeout=20).banner.startswith("220 ")
    assert deploy(two_edges, "--limit", "edge").changes == {}, "that is what .env says"


# Runs on world: a sender's queue. Each message is offered to one of the edges, in turn, until a server has accepted it.
_SENDER = """
import json, smtplib, sys, threading, time
doors, recipient, number, run = sys.argv[1].split(","), sys.argv[2], int(sys.argv[3]), sys.argv[4]
queue, lock, done = list(range(number)), threading.Lock(), []
def work(turn):
    session = None
    while True:
        with lock:
            if not queue: break
            message = queue.pop()
        attempts = unsure = 0
        while True:
            attempts += 1
            try:
                if session is None:
                    turn += 1
                    session = smtplib.SMTP(doors[turn % len(doors)], 25, "world.lab.test", timeout=30)
                session.ehlo_or_helo_if_needed(); session.mail("friend@outside.test"); session.rcpt(recipient)
                if session.docmd("DATA")[0] != 354: raise smtplib.SMTPException("DATA")
                session.send("Subject: stream %s %d\\r\\n\\r\\nhello\\r\\n.\\r\\n" % (run, message))
                # From here on a lost answer leaves open whether the server has the message: it is sent again.
                unsure += 1
                if session.getreply()[0] != 250: raise smtplib.SMTPException("refused")
                break
            except (OSError, smtplib.SMTPException):
                session = None; time.sleep(0.2)
        with lock:
            done.append([message, attempts, unsure])
            if len(done) == number // 3: print("a third", flush=True)
    if session is not None: session.close()
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for t in threads: t.start()
for t in threads: t.join()
print(json.dumps(done))
"""

_COUNTER = """
import imaplib, json, re, ssl, sys
p = json.loads(sys.stdin.read())
tls = ssl.create_default_context(); tls.check_hostname = False; tls.verify_mode = ssl.CERT_NONE
m = imaplib.IMAP4_SSL(p["host"], 993, ssl_context=tls, timeout=120); m.login(p["user"], p["password"])
found = []
for folder in ("INBOX", '"Junk Mail"'):
    if m.select(folder)[0] != "OK": continue
    numbers = m.search(None, "SUBJECT", "stream " + p["run"])[1][0].split()
    if not numbers: continue
    span = b",".join(numbers).decode()
    for part in m.fetch(span, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
        if isinstance(part, tuple): found += re.findall(r"stream \\S+ (\\d+)", part[1].decode())
    if p["delete"]: m.store(span, "+FLAGS", r"(\\Deleted)"); m.expunge()
print(json.dumps([int(n) for n in found]))
"""


def _arrived(environment: Environment, run: str, *, delete: bool = False) -> list[int]:
    user = environment.accounts[0]
    given = {
        "host": FIRST.ipv4, "user": f"{user.name}@{environment.domain}", "password": user.password.get_secret_value(),
        "run": run, "delete": delete,
    }  # fmt: skip
    done = hosts.exec("world", ["python3", "-c", _COUNTER], stdin=json.dumps(given).encode(), timeout=180)
    found: list[int] = json.loads(done.stdout)
    return found


def test_no_message_is_lost_when_an_edge_stops_in_the_middle_of_a_stream(two_edges: Path) -> None:
    environment = environment_of(two_edges)
    recipient, run = f"{environment.accounts[0].name}@{environment.domain}", "one-edge-stops"
    program = ["python3", "-c", _SENDER, f"{FIRST.ipv4},{SECOND.ipv6}", recipient, str(MESSAGES), run]
    words = exec_arguments(topology.host("world").container, program, stdin=False)
    engine = hosts.running_engine()
    with subprocess.Popen(["docker", *words], env=engine.environment, stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdout is not None
        assert sender.stdout.readline() == "a third\n"
        shell(SECOND.name, "docker kill tailwart-edge")
        try:
            sent = json.loads(sender.stdout.readline())
        finally:
            shell(SECOND.name, "docker start tailwart-edge")
    assert len(sent) == MESSAGES
    assert any(attempts > 1 for _, attempts, _ in sent), "the edge stopped while messages came through it"
    unsure = {message for message, _, answers in sent if answers > 1}
    try:
        until(lambda: len(set(_arrived(environment, run))) >= MESSAGES, "all messages in the mailbox", 90, pause=3)
        copies = Counter(_arrived(environment, run))
        assert set(copies) == set(range(MESSAGES)), "one that was accepted is lost"
        # A sender that was not answered sends again (RFC 5321 §6.1); nothing else may come twice.
        assert {message for message, number in copies.items() if number > 1} <= unsure
    finally:
        _arrived(environment, run, delete=True)
