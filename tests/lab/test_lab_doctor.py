"""`tailwart doctor` on the lab: all is well, then one real thing after the other is broken and put right again.

Each case names every check that must fail then, and no other may. docs/checks.md lists them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lab import hosts, topology
from lab.control.server import running
from tailwart.dns.plane import open_provider
from tailwart.environment import Environment
from tailwart.providers.record import APEX, record
from tailwart.stalwart.mailbox_host import mailbox_host
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, stored_login
from tailwart.stalwart.protocol.jmap import Call
from tests.lab.deploying import secret_values, tailwart, variant
from tests.lab.faults import fault
from tests.lab.mailbox import DIRECTORY, shell
from tests.lab.policy import drop_grants_to, policy_text, write_policy

pytestmark = [pytest.mark.lab, pytest.mark.leaves_deployed]

Broken = Iterator[None]
LISTEN = "systemd-run --quiet --unit=stranger --socket-property=ListenStream=993 /bin/cat"


def look(path: Path, *words: str, code: int | None = None) -> dict[str, Any]:
    """The document of `tailwart doctor --json`."""
    done = tailwart(path, "doctor", "--json", *words)
    assert code is None or done.returncode == code, done.stdout[-3000:] + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def ids(document: dict[str, Any], verdict: str) -> set[str]:
    """The checks with this verdict, those that are only recommended included."""
    return {item["id"] for item in document["results"] if item["verdict"] == verdict}


def exactly(path: Path, expected: set[str], *words: str, seconds: float = 60) -> dict[str, Any]:
    """The document as soon as these checks fail and no others.

    What was broken and put right before may take a while to be seen: a policy reaches the nodes one after the other.
    """
    deadline = time.monotonic() + seconds
    while True:
        document = look(path, *words)
        failed = ids(document, "failed")
        if failed == expected:
            return document
        if time.monotonic() > deadline:
            missing, besides = sorted(expected - failed), sorted(failed - expected)
            raise AssertionError(f"after {seconds:g} s: should fail and does not: {missing}; fails besides: {besides}")


@contextmanager
def on(host: str, broken: str, restored: str) -> Broken:
    """A command on a host, and the one that takes it back."""
    try:
        shell(host, broken)
        yield
    finally:
        shell(host, restored)


@contextmanager
def policy(edit: Callable[[str], str]) -> Broken:
    """Another tailnet policy for a while."""
    before = policy_text()
    write_policy(edit(before))
    try:
        yield
    finally:
        write_policy(before)


@contextmanager
def without_grants(tag: str) -> Broken:
    """The grants to a tag are gone for a while."""
    before = policy_text()
    drop_grants_to(tag)
    try:
        yield
    finally:
        write_policy(before)


@contextmanager
def objects(environment: Environment, kind: str, value: dict[str, Any]) -> Broken:
    """One more object on the server."""
    with mailbox_host(environment) as run:
        client = Client(ContainerTransport(run, stored_login()))
        (answer,) = client.call([Call(kind, "set", {"create": {"new": value}})])
        assert "new" in answer.arguments.get("created", {}), answer.arguments
        try:
            yield
        finally:
            client.call([Call(kind, "set", {"destroy": [answer.arguments["created"]["new"]["id"]]})])


@contextmanager
def added(environment: Environment, text: str) -> Broken:
    """A TXT record put to the apex by hand."""
    provider, zone = open_provider(environment, lambda _: None), environment.domain
    entry = record(zone, APEX, "TXT", text, 3600)
    provider.change(zone, (entry,), ())
    try:
        yield
    finally:
        provider.change(zone, (), (entry,))


@contextmanager
def vanished(environment: Environment, name: str, rtype: str) -> Broken:
    """The records of a name and type taken out of the zone by hand."""
    provider, zone = open_provider(environment, lambda _: None), environment.domain
    entries = tuple(each for each in provider.read(zone) if each.rrset == (name, rtype))
    assert entries
    provider.change(zone, (), entries)
    try:
        yield
    finally:
        provider.change(zone, entries, ())


SECOND = "second-server"
CLIENT = "while :; do echo SELECT 1\\;; sleep 1; done | exec psql -q -o /dev/null"


@contextmanager
def second_server(environment: Environment) -> Broken:
    """Somebody else is at work in the store with the server's own role, from another address of the tailnet."""
    password = environment.stalwart_db_password
    assert password is not None
    variables = {
        "PGHOST": environment.stalwart_db_host,
        "PGUSER": environment.stalwart_db_user,
        "PGDATABASE": environment.stalwart_db_name,
        "PGPASSWORD": password.get_secret_value(),
    }
    file = "".join(f"{name}={value}\n" for name, value in variables.items())
    hosts.exec("backends", ["sh", "-c", f"umask 077; cat > /run/{SECOND}"], stdin=file.encode())
    unit = f"systemd-run --quiet --unit={SECOND} --property=EnvironmentFile=/run/{SECOND}"
    with on("backends", f"{unit} sh -c '{CLIENT}'", f"systemctl stop {SECOND}; rm -f /run/{SECOND}"):
        yield


def _dkim_record(environment: Environment) -> str:
    """The name of the key's record in the zone."""
    entries = open_provider(environment, lambda _: None).read(environment.domain)
    return next(each.name for each in entries if each.name.endswith("._domainkey"))


def test_all_is_well_and_the_commands_of_every_output_hold_no_secret(
    deployed: Path, environment: Environment, tmp_path: Path
) -> None:
    page, export = tmp_path / "status.html", tmp_path / "tailwart.prom"
    done = tailwart(deployed, "doctor", "--all", "--html", str(page), "--prometheus", str(export))
    assert done.returncode == 0, done.stdout + done.stderr
    document = look(deployed, code=0)
    assert ids(document, "failed") | ids(document, "could not look") == set()
    assert document["counts"]["passed"] > 55
    texts = done.stdout + done.stderr + page.read_text() + export.read_text() + json.dumps(document)
    assert not [value for value in secret_values(environment) if value in texts]
    assert "tailwart_check{" in export.read_text()


STRANGER = '{"src": ["tag:stranger"], "dst": ["tag:stalwart"], "ip": ["tcp:8080"]},'
INSIDE = "nsenter -t $(docker inspect -f '{{.State.Pid}}' ts-stalwart) -n"
ULA = "FORWARD -o eth+ -s fd00:7a17:600d::/64 -j REJECT"
COMPOSE = f"{DIRECTORY}/compose.yaml"
RESTART = f"{DIRECTORY}/restart-required"
DIGEST = "/opt/tailwart/edge/caddy.sha256"
PASSWD = "saslpasswd2 -p -u relay.lab.test stalwart"
EVERYWHERE = "systemd-run --quiet --unit=stranger --socket-property=ListenStream=0.0.0.0:3901 /bin/cat"
ROLE = "su postgres -c 'psql -q -c \"ALTER ROLE stalwart {}\"'"
REJECT = "table inet doctor { chain in { type filter hook input priority -9; tcp dport 465 reject with tcp reset; }; }"
SMARTHOST = f"cp -p /etc/sasldb2 /root/kept; echo another | {PASSWD}"
DEEP = {"the smarthost has another password"}
"""Cases that slow checks see."""

CASES: dict[str, tuple[Callable[[Environment], AbstractContextManager[None]], set[str]]] = {
    "a store is unreachable": (
        lambda _: on(
            "mailbox",
            f"{INSIDE} iptables -I OUTPUT -p tcp --dport 3900 -j REJECT",
            f"{INSIDE} iptables -D OUTPUT -p tcp --dport 3900 -j REJECT",
        ),
        {"mailbox.stores-reached"},
    ),
    "the grant to the smarthost is gone": (
        lambda environment: without_grants(environment.tag_mail),
        {"mailbox.smarthost-reached", "tailnet.deployed"},
    ),
    "a rule that opens the administration": (
        lambda _: policy(lambda text: text.replace('"grants": [', f'"grants": [{STRANGER}', 1)),
        {"tailnet.wide-rules"},
    ),
    "no IPv6 from the namespace": (
        lambda _: on("mailbox", f"ip6tables -I {ULA}", f"ip6tables -D {ULA}"),
        {"mailbox.ipv6-egress"},
    ),
    "a tailnet address in a file": (
        lambda _: on(
            "mailbox", f"cp -p {COMPOSE} /root/kept; echo '# 100.64.0.9' >> {COMPOSE}", f"mv /root/kept {COMPOSE}"
        ),
        {"mailbox.names-not-addresses", "mailbox.deployed"},
    ),
    "a secret that all may read": (
        lambda _: on("mailbox", f"chmod 644 {DIRECTORY}/.env", f"chmod 600 {DIRECTORY}/.env"),
        {"mailbox.secrets-private", "mailbox.deployed"},
    ),
    "another program on a mail port of the mailbox's host": (
        lambda _: on("mailbox", LISTEN, "systemctl stop stranger.socket"),
        {"mailbox.nothing-published"},
    ),
    "a restart that a run has left": (
        lambda _: on("mailbox", f"echo then > {RESTART}", f"rm -f {RESTART}"),
        {"mailbox.restart-done", "server.settings"},
    ),
    "an edge is banned": (
        lambda environment: objects(
            environment, "BlockedIp", {"address": str(environment.edges[0].ipv4), "reason": "manual"}
        ),
        {"server.no-edge-banned"},
    ),
    "a reboot is due": (
        lambda _: on("edge-1", "touch /run/reboot-required", "rm -f /run/reboot-required"),
        {"edge.no-reboot-due"},
    ),
    "the edge's program is another one": (
        lambda _: on("edge-1", f"cp -p {DIGEST} /root/kept; echo 0000 > {DIGEST}", f"mv /root/kept {DIGEST}"),
        {"edge.binary"},
    ),
    "a record has vanished": (
        lambda environment: vanished(environment, "_dmarc", "TXT"),
        {"zone.deployed", "zone.records"},
    ),
    "two SPF records": (
        lambda environment: added(environment, "v=spf1 -all"),
        {"zone.deployed", "zone.records"},
    ),
    "a DKIM key's record has vanished": (
        lambda environment: vanished(environment, _dkim_record(environment), "TXT"),
        {"server.dkim-served", "zone.deployed", "zone.dkim"},
    ),
    "a second server on the store": (second_server, {"server.one-instance"}),
    "a store listens on every address": (
        lambda _: on("backends", EVERYWHERE, "systemctl stop stranger.socket"),
        {"backends.private"},
    ),
    "the mailbox's role in PostgreSQL may do more than it should": (
        lambda _: on("backends", ROLE.format("CREATEDB"), ROLE.format("NOCREATEDB")),
        {"backends.database"},
    ),
    "the smarthost has another password": (
        lambda _: on("relay", SMARTHOST, "mv /root/kept /etc/sasldb2"),
        {"mailbox.smarthost-login"},
    ),
    "the provider refuses the key": (
        lambda _: fault("spaceship", kind="status", status=401),
        {"zone.provider-key"},
    ),
}
"""What is broken, and every check that fails then."""


@pytest.mark.cases_follow
@pytest.mark.parametrize("name", CASES)
def test_what_is_broken_is_named_and_nothing_else(deployed: Path, environment: Environment, name: str) -> None:
    broken, expected = CASES[name]
    with broken(environment):
        document = exactly(deployed, expected, *(["--deep"] if name in DEEP else []))
    found = {item["id"]: item for item in document["results"] if item["verdict"] == "failed"}
    for identifier in expected:
        assert found[identifier]["seen"] and found[identifier]["cause"] and found[identifier]["remedy"]


def test_all_is_well_again(deployed: Path) -> None:
    exactly(deployed, set())


def test_a_stranger_sees_what_is_broken_for_the_world(deployed: Path) -> None:
    outside = ("--public", "--resolver", topology.RESOLVER)
    with on("edge-1", f"nft -f - <<'END'\n{REJECT}\nEND", "nft delete table inet doctor"):
        document = exactly(deployed, {"public.ports"}, *outside)
    (result,) = [item for item in document["results"] if item["verdict"] == "failed"]
    assert "submissions (465)" in " ".join(result["seen"]) and result["cause"] and result["remedy"]
    assert ids(exactly(deployed, set(), *outside), "could not look") == set()


def test_certificates_in_the_public_logs_are_counted(deployed: Path, environment: Environment, tmp_path: Path) -> None:
    names = [environment.domain, f"*.{environment.domain}"]
    issued = [{"id": str(n), "dns_names": names, "not_before": datetime.now(UTC).isoformat()} for n in range(1, 5)]

    def logs(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps([] if "after=" in environ["QUERY_STRING"] else issued).encode()]

    with running(logs) as url:
        asking = variant(deployed, tmp_path / ".env", CERTSPOTTER_URL=url)
        document = look(asking, "--only", "server.issuances", code=1)
        issued.pop()
        look(asking, "--only", "server.issuances", code=0)
    (result,) = document["results"]
    assert result["lesson"] == 7 and "4 of 5 in seven days" in result["seen"][0] and result["remedy"]
    unreached = look(variant(deployed, tmp_path / ".env", CERTSPOTTER_URL=url), "--only", "server.issuances", code=2)
    assert [item["verdict"] for item in unreached["results"]] == ["could not look"]


def test_what_cannot_be_looked_at_is_never_green(deployed: Path) -> None:
    with on("edge-1", "systemctl stop ssh.socket ssh", "systemctl start ssh"):
        document = look(deployed, "--only", "edge", "--only", "tailnet", code=2)
    edges = [item for item in document["results"] if item["plane"] == "edge"]
    assert {item["verdict"] for item in edges} == {"could not look"}
    assert all("edge-1" in item["seen"][0] or "reached" in item["seen"][0] for item in edges)
    assert {item["verdict"] for item in document["results"] if item["plane"] == "tailnet"} == {"passed"}
