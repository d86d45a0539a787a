"""Checks of the hosts on facts as the hosts give them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest

from tailwart.backup.names import LAST_BACKUP, LAST_DRILL
from tailwart.checks.edge import EDGE, EdgeFacts
from tailwart.checks.mailbox import MAILBOX
from tailwart.checks.mailbox_facts import MailboxFacts, watch
from tailwart.checks.model import Verdict
from tailwart.checks.revision import Code
from tailwart.environment import Environment
from tailwart.history.latest import Latest
from tailwart.history.working import Working
from tailwart.hosts.report import Engine, HostReport, Probe
from tailwart.mailbox import follower, names
from tests.unit.checks.sample import environment
from tests.unit.checks.test_checks_model import SETTINGS

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
HOST = f"clock {NOW.timestamp()}\nmemory 900000000\ndisk / 90000000000 20\ndisk /var/lib/docker 90000000000 20\n"
LISTENS = "  0: 00000000:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1 0 100 0 0 10 0\n"
SIDECAR = {
    "name": "/ts-stalwart", "id": "s1", "image": SETTINGS.tailscale_image, "network_mode": "net", "ports": {},
    "state": {"Status": "running", "Health": {"Status": "healthy"}}, "mounts": [], "networks": {}, "variables": "",
}  # fmt: skip
STALWART = {
    **SIDECAR, "name": "/stalwart", "id": "s2", "image": SETTINGS.stalwart_image, "network_mode": "container:s1",
    "mounts": [
        {"Destination": "/etc/stalwart/config.json", "Source": "/opt/tailwart/mailbox/config/config.json"},
        {"Destination": "/var/lib/stalwart", "Type": "volume", "Name": "tailwart-mailbox_data"},
    ],
}  # fmt: skip


_LATEST = Latest("1a2b3c4d5e", False, "t1", NOW)
CODE = Code(Working("1a2b3c4d5e", "t1"), {"mailbox": _LATEST, "backends": _LATEST})


def probe(text: str, code: int = 0) -> Probe:
    return Probe(code, text.encode())


def mailbox(
    broken: Mapping[str, Probe] = MappingProxyType({}),
    settings: Environment = SETTINGS,
    contents: Mapping[str, bytes] = MappingProxyType({}),
) -> MailboxFacts:
    """A healthy mailbox host, but for these probes."""
    ports = (25, 465, 587, 143, 993, 443, 8080)
    healthy = {
        "inspect": probe(f"{json.dumps(SIDECAR)}\n{json.dumps(STALWART)}\n"),
        "compose": probe(""),
        "network": probe(
            json.dumps([{"EnableIPv6": True, "IPAM": {"Config": [{"Subnet": str(SETTINGS.mailbox_ula)}]}}])
        ),
        "inside": probe("".join(LISTENS.format(port=port) for port in ports)),
        "outside": probe(LISTENS.format(port=22)),
        "http": probe("ok"),
        "store-errors": probe(""),
        "node": probe(json.dumps({"Self": {"DNSName": "stalwart.tail1.ts.net."}})),
        "dialled": probe("SMARTHOST_ADDRESS 0\nPROBE_IPV6 0\n"),
        "host": probe(HOST),
        "history": probe(""),
    }
    report = HostReport(contents=contents, engine=Engine(present=True, version="27.0"), probes={**healthy, **broken})
    return MailboxFacts(settings, report, NOW, NOW, CODE)


def verdict(facts: MailboxFacts, identifier: str) -> tuple[Verdict, str]:
    (result,) = MAILBOX.run(facts, "mailbox", lambda check: check.id == f"mailbox.{identifier}")
    return result.verdict, " ".join(result.seen)


# What compares files on the host with those of the settings has the lab's real host.
COMPARING = {"mailbox.secrets-private", "mailbox.deployed"}


def test_a_healthy_host_passes() -> None:
    results = MAILBOX.run(mailbox(), "mailbox", lambda check: not check.deep and check.id not in COMPARING)
    assert {item.check.id: item.seen for item in results if item.verdict is Verdict.FAILED} == {}
    assert {item.check.id for item in results if item.verdict is Verdict.UNKNOWN} == set()


@dataclass(frozen=True)
class Broken:
    probes: dict[str, Probe]
    seen: str


def changed(container: dict[str, Any], **values: Any) -> Probe:
    other = SIDECAR if container is STALWART else STALWART
    return probe(f"{json.dumps({**container, **values})}\n{json.dumps(other)}\n")


@pytest.mark.parametrize(
    ("identifier", "broken"),
    [
        ("compose-valid", Broken({"compose": probe("yaml: line 3", 15)}, "yaml: line 3")),
        ("containers-healthy", Broken({"inspect": probe(json.dumps(SIDECAR))}, "stalwart does not exist")),
        (
            "containers-healthy",
            Broken({"inspect": changed(SIDECAR, state={"Status": "exited"})}, "ts-stalwart is exited"),
        ),
        ("images-pinned", Broken({"inspect": changed(STALWART, image="stalwart:odd")}, "stalwart:odd")),
        ("namespace", Broken({"inspect": changed(STALWART, network_mode="container:old")}, "container:old")),
        ("nothing-published", Broken({"outside": probe(LISTENS.format(port=993))}, "993 listens")),
        ("nothing-published", Broken({"inspect": changed(SIDECAR, ports={"25/tcp": []})}, "publishes 25/tcp")),
        ("named-mounts", Broken({"inspect": changed(STALWART, mounts=[])}, "not mounted")),
        (
            "named-mounts",
            Broken(
                {"inspect": changed(SIDECAR, mounts=[{"Destination": "/x", "Name": "a" * 64}])},
                "/x is an anonymous volume",
            ),
        ),
        (
            "ipv6-prefix",
            Broken({"network": probe('[{"EnableIPv6": false, "IPAM": {"Config": [{"Subnet": "fd00::/64"}]}}]')}, "off"),
        ),
        ("listeners", Broken({"inside": probe(LISTENS.format(port=25))}, "993 does not listen")),
        ("http-answers", Broken({"http": probe("curl: (7) refused", 7)}, "refused")),
        (
            "recovery-closed",
            Broken({"inspect": changed(STALWART, variables="STALWART_RECOVERY_ADMIN")}, "STALWART_RECOVERY_ADMIN"),
        ),
        ("smarthost-reached", Broken({"dialled": probe("SMARTHOST_ADDRESS 1\nPROBE_IPV6 0\n")}, "192.0.2.25:587")),
        ("ipv6-egress", Broken({"dialled": probe("SMARTHOST_ADDRESS 0\nPROBE_IPV6 143\n")}, "is not reached")),
        ("store-errors", Broken({"store-errors": probe("x (store.postgresql-error) y")}, "store.postgresql-error")),
        ("node-name", Broken({"node": probe('{"Self": {"DNSName": "stalwart-1.tail1.ts.net."}}')}, "stalwart-1")),
        (
            "clock",
            Broken({"host": probe(HOST.replace(str(NOW.timestamp()), str(NOW.timestamp() - 99)))}, "99 s behind"),
        ),
        ("disk", Broken({"host": probe(HOST.replace("disk / 90000000000 20", "disk / 90000000000 95"))}, "95 % full")),
        ("memory", Broken({"host": probe(HOST.replace("900000000\n", "9000000\n", 1))}, "8 MiB are available")),
        ("no-reboot-due", Broken({"host": probe(f"{HOST}reboot linux-image\n")}, "linux-image")),
    ],
)
def test_each_check_fails_for_what_it_is_about(identifier: str, broken: Broken) -> None:
    found, seen = verdict(mailbox(broken.probes), identifier)
    assert (found, broken.seen in seen) == (Verdict.FAILED, True), seen


@pytest.mark.parametrize("identifier", [check.id for check in MAILBOX.checks() if not check.deep])
def test_a_host_that_answers_nothing_is_never_green(identifier: str) -> None:
    """The engine is down and every probe failed."""
    failed = {name: Probe(1, b"") for name, _ in watch(SETTINGS).probes}
    facts = replace(mailbox(), report=HostReport(engine=Engine(present=True), probes=failed))
    found, _ = verdict(facts, identifier.partition(".")[2])
    # What is declared absent in the settings, and facts that are files which a healthy host does not have.
    absent = {"stores-reached", "backup", "drill", "restart-done", "nothing-hung", "names-not-addresses"}
    assert found in (Verdict.UNKNOWN, Verdict.FAILED) or identifier.partition(".")[2] in absent


def last(ok: bool, age: timedelta) -> bytes:
    ended = f"{NOW - age:%Y-%m-%dT%H:%M:%SZ}"
    return json.dumps({"ok": ok, "ended": ended, "what": "the target is full", "seen": "no space left"}).encode()


@pytest.mark.parametrize(("name", "path"), [("backup", LAST_BACKUP), ("drill", LAST_DRILL)])
@pytest.mark.parametrize(
    ("content", "expected", "seen"),
    [
        (last(True, timedelta(hours=9)), Verdict.PASSED, ""),
        (last(True, timedelta(days=30)), Verdict.FAILED, "2026-10-28"),
        (last(False, timedelta(hours=9)), Verdict.FAILED, "the target is full no space left"),
        (None, Verdict.FAILED, "there was no"),
        (b"{", Verdict.UNKNOWN, "cannot be read"),
        (b"[1]", Verdict.UNKNOWN, "cannot be read"),
    ],
)
def test_backup_and_drill_are_judged_by_how_the_last_one_ended(
    name: str, path: str, content: bytes | None, expected: Verdict, seen: str
) -> None:
    settings = SETTINGS.model_copy(update={"backup_target": "/srv/backup"})
    facts = mailbox({}, settings, {} if content is None else {path: content})
    found, said = verdict(facts, name)
    assert found is expected and seen in said
    assert verdict(mailbox(), name)[0] is Verdict.SKIPPED


NOTES = {
    "restart-done": (f"{names.DIRECTORY}/{names.RESTART_REQUIRED}", b"then\n", "a restart was noted"),
    "nothing-hung": (
        follower.WATCH.contents[0],
        f"{NOW.timestamp():.0f} stalwart hung and was restarted\n".encode(),
        "stalwart hung and was restarted",
    ),
    "names-not-addresses": (f"{names.DIRECTORY}/compose.yaml", b"# 100.64.0.9\n", "100.64.0.9"),
    "deployed": (f"{names.DIRECTORY}/compose.yaml", b"services: {}\n", "differs"),
}


@pytest.mark.parametrize("identifier", NOTES)
def test_files_of_the_host_that_say_what_is_wrong(identifier: str) -> None:
    path, content, expected = NOTES[identifier]
    found, seen = verdict(mailbox(contents={path: content}), identifier)
    assert found is Verdict.FAILED and expected in seen


def test_a_secret_that_others_may_read_or_that_is_missing() -> None:
    found, seen = verdict(mailbox(), "secrets-private")
    assert found is Verdict.FAILED and "/.env is missing" in seen


def edge(**probes: Probe) -> EdgeFacts:
    digest = "a" * 64
    healthy = {
        "state": probe('{"Status": "running", "Health": {"Status": "healthy"}}'),
        "recorded": probe(f"{digest}\n"),
        "binary": probe(f"{digest}  /usr/bin/caddy\n"),
        "modules": probe("layer4\nlayer4.handlers.proxy\nlayer4.handlers.proxy_protocol\n"),
        "valid": probe("Valid configuration"),
        "reach": probe("25 0\n465 0\n587 0\n143 0\n993 0\n443 0\n8080 124\n"),
        "pid": probe("77"),
        "listeners": probe('LISTEN 0 4096 *:25 *:* users:(("caddy",pid=77,fd=8))\n'),
        "host": probe(HOST),
        "history": probe(""),
    }
    report = HostReport(engine=Engine(present=True, version="27.0"), probes=healthy | probes)
    return EdgeFacts(SETTINGS, SETTINGS.edges[0], report, NOW, NOW)


@pytest.mark.parametrize(
    ("identifier", "probes", "seen"),
    [
        ("container-healthy", {"state": probe("", 1)}, "there is no container"),
        ("container-healthy", {"state": probe('{"Status": "exited"}')}, "exited"),
        ("binary", {"binary": probe("b" * 64)}, "recorded"),
        ("binary", {"modules": probe("http")}, "without layer4"),
        ("config-valid", {"valid": probe("Error: unknown module", 1)}, "unknown module"),
        ("no-other-service", {"listeners": probe('LISTEN 0 9 *:995 *:* users:(("caddy",pid=77,fd=8))\n')}, "995"),
        ("reaches-mailbox", {"reach": probe("25 124\n465 0\n587 0\n143 0\n993 0\n443 0\n8080 124\n")}, ":25"),
        ("reaches-https", {"reach": probe("25 0\n443 124\n8080 124\n")}, ":443"),
        ("administration-closed", {"reach": probe("25 0\n443 0\n8080 0\n")}, ":8080 answers"),
    ],
)
def test_each_check_of_an_edge_fails_for_what_it_is_about(identifier: str, probes: dict[str, Probe], seen: str) -> None:
    def run(facts: EdgeFacts) -> tuple[Verdict, str]:
        (result,) = EDGE.run(facts, "edge-1", lambda check: check.id == f"edge.{identifier}")
        return result.verdict, " ".join(result.seen)

    assert run(edge())[0] is Verdict.PASSED
    found, said = run(edge(**probes))
    assert found is Verdict.FAILED and seen in said


@pytest.mark.parametrize("identifier", ["deployed", "listens"])
def test_an_edge_that_was_never_deployed(identifier: str) -> None:
    (result,) = EDGE.run(edge(), "edge-1", lambda check: check.id == f"edge.{identifier}")
    assert result.verdict is Verdict.FAILED and result.seen


def test_a_service_for_the_tailnet_that_an_edge_reaches() -> None:
    settings = environment(mail_services="smtp,submissions,imaps:tailnet", stalwart_store="rocksdb")
    facts = replace(edge(reach=probe("25 0\n465 0\n993 0\n443 0\n8080 124\n")), environment=settings)
    (result,) = EDGE.run(facts, "edge-1", lambda check: check.id == "edge.tailnet-services-closed")
    assert result.verdict is Verdict.FAILED and "imaps (993) answers" in result.seen
