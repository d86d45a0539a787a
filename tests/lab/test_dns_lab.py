"""The dns role on the lab: the fake API in front of the real authoritative server, an edge that answers or does not."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rdatatype
import pytest

from lab import hosts
from tailwart.dns.plane import open_provider
from tailwart.environment import Environment
from tailwart.providers.definition import Provider
from tailwart.providers.record import APEX, Record, record
from tests.lab.deploying import Run, deploy, run_pyinfra, tailwart, variant
from tests.waiting import polling, until

pytestmark = [pytest.mark.lab, pytest.mark.leaves_deployed]

RESOLVER = "198.51.100.23"
LIMIT = ("--limit", "dns")


@pytest.fixture
def complete(deployed: Path) -> Path:
    """The `.env` of a lab whose zone is complete; what a test leaves behind in it is put right afterwards."""
    return deployed


@pytest.fixture
def provider(environment: Environment) -> Provider:
    """The provider as the owner's own hand uses it beside the deploy."""
    return open_provider(environment, lambda _: None)


def served(environment: Environment, name: str, rtype: str) -> list[str]:
    """What the authoritative server answers, without any cache."""
    address, _, port = environment.dns_nameservers[0].rpartition(":")
    question = dns.message.make_query(f"{name}.{environment.domain}" if name else environment.domain, rtype)
    answer = dns.query.tcp(question, address, port=int(port), timeout=10)
    wanted = dns.rdatatype.from_text(rtype)
    return sorted(rdata.to_text() for rrset in answer.answer if rrset.rdtype == wanted for rdata in rrset)


def senders(environment: Environment) -> list[str]:
    """The SPF records at the apex."""
    return [text for text in served(environment, "", "TXT") if "v=spf1" in text]


def command(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`tailwart dns …` as a user runs it."""
    return tailwart(path, "dns", *words)


def findings(path: Path) -> list[dict[str, Any]]:
    """What `tailwart dns check` found wrong."""
    document = json.loads(command(path, "check", "--json", "--resolver", RESOLVER).stdout)
    return [finding for finding in document["findings"] if finding["state"] == "wrong"]


def test_dns_zone_is_complete_and_a_second_run_writes_nothing(complete: Path, environment: Environment) -> None:
    assert served(environment, "", "MX") == [f"10 mail.{environment.domain}."]
    assert served(environment, "mail", "A") == ["198.51.100.11"]
    assert len(senders(environment)) == 1
    assert served(environment, "_submissions._tcp", "SRV")
    serial = served(environment, "", "SOA")
    again = deploy(complete, *LIMIT)
    assert again.changes == {}
    assert again.hosts == {"@plane/dns"}
    assert served(environment, "", "SOA") == serial


def test_dns_spf_changes_without_a_moment_of_two_or_none(
    complete: Path, environment: Environment, tmp_path: Path
) -> None:
    other = variant(complete, tmp_path / "other.env", SMARTHOST_SPF="ip4:198.51.100.25,ip4:198.51.100.26")
    with polling(lambda: senders(environment)) as seen:
        assert deploy(other, *LIMIT).changes
        assert "198.51.100.26" in senders(environment)[0]
        deploy(complete, *LIMIT)
    assert len(seen) > 20
    assert {len(records) for records in seen} == {1}
    assert "198.51.100.26" not in senders(environment)[0]


def test_dns_a_double_spf_is_found_explained_and_repaired(
    complete: Path, environment: Environment, provider: Provider
) -> None:
    provider.change(environment.domain, [record(environment.domain, APEX, "TXT", "v=spf1 -all", 3600)], [])
    _until_served(environment, lambda: len(senders(environment)) == 2)
    assert any(finding["lesson"] == 14 and finding["required"] for finding in findings(complete))
    deploy(complete, *LIMIT)
    assert len(senders(environment)) == 1


def test_dns_a_deleted_record_is_shown_and_restored(
    complete: Path, environment: Environment, provider: Provider
) -> None:
    gone = [entry for entry in provider.read(environment.domain) if entry.rrset in {("mail", "A"), ("_dmarc", "TXT")}]
    assert len(gone) == 2
    provider.change(environment.domain, [], gone)
    _until_served(environment, lambda: not served(environment, "mail", "A"))
    remedies = [finding["remedy"] for finding in findings(complete)]
    assert f"add: mail.{environment.domain}. 3600 IN A 198.51.100.11" in remedies
    dry = run_pyinfra(complete, "--dry", *LIMIT)
    assert "+ A mail" in dry.output
    assert not served(environment, "mail", "A")
    deploy(complete, *LIMIT)
    assert served(environment, "mail", "A") == ["198.51.100.11"]
    assert {entry.key for entry in gone} <= {entry.key for entry in provider.read(environment.domain)}


def test_dns_foreign_records_and_acme_names_stay_and_ed25519_goes(
    complete: Path, environment: Environment, provider: Provider
) -> None:
    zone = environment.domain
    foreign = [
        record(zone, "www", "A", "203.0.113.9", 600),
        record(zone, APEX, "TXT", "google-site-verification=abc", 3600),
        record(zone, "_validation-persist", "TXT", "being validated", 60),
    ]
    unwanted = record(zone, "v1-ed25519-20261120._domainkey", "TXT", "v=DKIM1; k=ed25519; h=sha256; p=abc=", 3600)
    provider.change(zone, [*foreign, unwanted], [])
    try:
        deploy(complete, *LIMIT)
        present = {entry.key for entry in provider.read(zone)}
        assert {entry.key for entry in foreign} <= present
        assert unwanted.key not in present
    finally:
        provider.change(zone, [], _still(provider, zone, [*foreign, unwanted]))


def test_dns_aaaa_is_withheld_while_an_edge_is_silent_on_ipv6(complete: Path, environment: Environment) -> None:
    assert served(environment, "mail", "AAAA") == ["2001:db8:100::11"]
    with silent_on_ipv6("edge-1"):
        run = _run(complete)
        assert "edge-1 on [2001:db8:100::11]:25" in run.output
        assert "lesson 8" in run.output
        assert served(environment, "mail", "AAAA") == []
        assert served(environment, "mail", "A") == ["198.51.100.11"]
    deploy(complete, *LIMIT)
    assert served(environment, "mail", "AAAA") == ["2001:db8:100::11"]


def test_dns_a_snapshot_is_restored(complete: Path, environment: Environment, provider: Provider) -> None:
    before = {entry.key for entry in provider.read(environment.domain)}
    taken = command(complete, "snapshot")
    assert taken.returncode == 0, taken.stderr
    gone = [entry for entry in provider.read(environment.domain) if entry.type == "SRV"]
    provider.change(environment.domain, [], gone)
    assert command(complete, "diff").returncode == 1
    restored = command(complete, "restore", "--yes")
    assert restored.returncode == 0, restored.stderr
    assert {entry.key for entry in provider.read(environment.domain)} == before


def test_dns_a_refused_key_names_lesson_2_and_nothing_is_written(complete: Path, tmp_path: Path) -> None:
    wrong = variant(complete, tmp_path / "wrong.env", SPACESHIP_API_SECRET="not-the-secret-at-all")
    run = run_pyinfra(wrong, "-y", *LIMIT)
    assert run.code == 1
    assert "lesson:   2" in run.last_lines


@contextmanager
def silent_on_ipv6(host: str) -> Iterator[None]:
    """A host that drops connections to its IPv6 port 25."""
    hosts.exec(
        host,
        [
            "nft",
            "add table ip6 silent; "
            "add chain ip6 silent in { type filter hook prerouting priority raw; }; "
            "add rule ip6 silent in tcp dport 25 drop",
        ],
    )
    try:
        yield
    finally:
        hosts.exec(host, ["nft", "delete table ip6 silent"])


def _run(path: Path) -> Run:
    """An applied run with its output for people."""
    run = run_pyinfra(path, "-y", *LIMIT)
    assert run.code == 0, run.output[-4000:]
    return run


def _still(provider: Provider, zone: str, records: list[Record]) -> list[Record]:
    present = {entry.key for entry in provider.read(zone)}
    return [entry for entry in records if entry.key in present]


def _until_served(environment: Environment, condition: Callable[[], bool]) -> None:
    until(condition, f"the name server of {environment.domain} to show the edit", seconds=20, pause=0.1)
