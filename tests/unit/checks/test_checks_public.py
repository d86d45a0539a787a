"""What a stranger sees: names at real servers on loopback, ports and TLS there, and how it is judged and shown."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from tailwart.checks import terminal
from tailwart.checks.doctor import Outcome
from tailwart.checks.model import Check, Severity, Verdict
from tailwart.checks.public import book, door, names, ports, securing, web
from tailwart.checks.public.book import PUBLIC, PublicFacts
from tailwart.checks.public.door import Door
from tailwart.dns.authority import Server
from tailwart.dns.check import resolving
from tailwart.dns.check.findings import Finding, State, ok, unknown, wrong
from tailwart.errors import TailwartError
from tailwart.network import Service
from tests.daemons import free_port
from tests.unit.checks.sample import BEGAN, environment
from tests.unit.dns.names import ADDRESS
from tests.unit.dns.test_dns_check import certificate
from tests.unit.dns.tls_hosts import greeting_host
from tests.unit.dns.world import serving_texts, zone_file

SETTINGS = environment()
LOOPBACK = ip_address("127.0.0.1")
GOOD = '@ MX 10 mail\nmail A 127.0.0.1\n@ TXT "v=spf1 mx -all"\n@ TXT "other"\n_dmarc TXT "v=DMARC1; p=none"'
CHECKS = PUBLIC.checks()


def verdicts(*findings: Finding) -> dict[str, Verdict]:
    results = PUBLIC.run(PublicFacts(findings), "public", lambda _: True)
    return {item.check.id.partition(".")[2]: item.verdict for item in results}


def states(found: Iterator[Finding]) -> dict[str, list[State]]:
    by: dict[str, list[State]] = {}
    for each in found:
        by.setdefault(each.area, []).append(each.state)
    return by


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_each_check_fails_passes_and_cannot_look(check: Check) -> None:
    name = check.id.partition(".")[2]
    assert verdicts(ok(name, "x"))[name] is Verdict.PASSED
    assert verdicts(ok(name, "x"), wrong(name, "y", "bad", remedy="z"))[name] is Verdict.FAILED
    assert verdicts(ok(name, "x"), unknown(name, "y", "no answer"))[name] is Verdict.UNKNOWN
    # A machine without IPv6 has seen the rest; one that has seen nothing has seen nothing.
    assert verdicts(ok(name, "x"), unknown(name, "y", "no IPv6", required=False))[name] is Verdict.PASSED
    assert verdicts(unknown(name, "y", "no IPv6", required=False))[name] is Verdict.UNKNOWN
    assert verdicts()[name] is Verdict.SKIPPED


def test_every_check_says_why_not_and_what_to_do() -> None:
    for check in CHECKS:
        assert re.fullmatch(r"public\.[a-z-]+", check.id)
        assert check.title[0].isupper() and check.remedy and check.why
        assert check.severity in Severity


def test_nobody_to_ask_makes_every_test_unknown() -> None:
    outcome, findings = book.doctor(SETTINGS, lambda _: True, ["no-such-resolver.invalid"])
    assert {item.verdict for item in outcome.results} == {Verdict.UNKNOWN}
    assert outcome.exit_code == 2 and findings == ()


@pytest.fixture(scope="module")
def resolvers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Two name servers with the same good zone."""
    base = tmp_path_factory.mktemp("resolvers")
    with (
        serving_texts(base / "one", {"example.org": zone_file(GOOD)}) as one,
        serving_texts(base / "two", {"example.org": zone_file(GOOD)}) as two,
    ):
        yield [Server("one", ADDRESS, one.port), Server("two", ADDRESS, two.port)]


def test_names_are_asked_at_every_resolver(resolvers: list[Server]) -> None:
    found = list(names.check(SETTINGS, "example.org", resolvers))
    assert {each.state for each in found} == {State.OK}
    assert {each.area for each in found} == {"mx", "sender", "addresses"}
    assert all("one, two" in each.detail for each in found)


def test_a_resolver_that_says_something_else_or_nothing(
    resolvers: list[Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = GOOD.replace("10 mail", "20 mail") + '\n@ TXT "v=spf1 -all"'
    with serving_texts(tmp_path, {"example.org": zone_file(other)}) as third:
        found = list(names.check(SETTINGS, "example.org", [*resolvers, Server("three", ADDRESS, third.port)]))
    by = {each.area: each for each in found if each.state is State.WRONG}
    assert set(by) == {"mx", "sender"}
    assert "2 SPF records at three" in by["sender"].detail
    monkeypatch.setattr(resolving, "_LIFETIME", 1.0)
    silent = [*resolvers, Server("silent", ADDRESS, free_port())]
    assert {each.area for each in names.check(SETTINGS, "example.org", silent) if each.state is State.UNKNOWN} == {
        "mx", "sender", "addresses",
    }  # fmt: skip


def test_the_names_lead_to_the_addresses(resolvers: list[Server]) -> None:
    found = door.doors(SETTINGS, resolving.resolver(resolvers[0]))
    assert [(each.host, each.address) for each in found] == [("mail.example.org", LOOPBACK)]
    assert found[0].services == SETTINGS.mail_services.public


def test_ports_that_answer_and_those_that_do_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = Service("smtp", listener.getsockname()[1], "smtp")
        gone = Service("imaps", free_port(), "imap", implicit_tls=True)
        found = list(ports.answering(Door("mail.example.org", LOOPBACK, (here, gone))))
    assert [each.state for each in found] == [State.OK, State.WRONG]
    assert "imaps" in found[1].subject


def test_what_must_be_closed() -> None:
    assert states(ports.closed(SETTINGS, Door("mail.example.org", LOOPBACK, ()))) == {"closed": [State.OK]}


def test_a_machine_without_a_way_to_the_address_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> socket.socket:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    assert door.connect(ip_address("2001:db8::1"), 25)[0] is None
    assert door.connect(LOOPBACK, 25)[0] is False


def test_tls_by_starttls_is_judged_by_its_certificate(tmp_path: Path, resolvers: list[Server]) -> None:
    through = resolving.resolver(resolvers[0])
    pem, _ = certificate(tmp_path, "mail.example.org")
    with greeting_host("mail.example.org", pem) as port:
        service = Service("submission", port, "smtp")
        found = states(securing.check(SETTINGS, Door("mail.example.org", LOOPBACK, (service,)), through))
        other = states(securing.check(SETTINGS, Door("mail.example.com", LOOPBACK, (service,)), through))
    assert found["starttls"] == [State.OK] and found["certificate"][0] is State.OK
    assert other["certificate"][0] is State.WRONG
    gone = Service("submission", free_port(), "smtp")
    assert states(securing.check(SETTINGS, Door("mail.example.org", LOOPBACK, (gone,)), through)) == {
        "starttls": [State.UNKNOWN]
    }
    with socket.create_server(("127.0.0.1", 0)) as silent:
        plain = Service("submission", silent.getsockname()[1], "smtp")
        threading.Thread(target=lambda: silent.accept()[0].sendall(b"220 x\r\n250 x\r\n"), daemon=True).start()
        found = states(securing.check(SETTINGS, Door("mail.example.org", LOOPBACK, (plain,)), through))
    assert found == {"starttls": [State.WRONG]}


def test_relaying_is_asked_for_from_here() -> None:
    silent = Door("mail.example.org", ip_address("127.0.0.2"), ())
    assert states(ports.relay(SETTINGS, silent)) == {"relay": [State.UNKNOWN]}


def test_jmap_and_policies_that_do_not_answer(resolvers: list[Server]) -> None:
    through = resolving.resolver(resolvers[0])
    assert list(web.mta_sts(SETTINGS, "example.org", through)) == []
    assert list(web.settings(SETTINGS, "example.org", through)) == []
    gone = Door("mail.example.org", ip_address("127.0.0.3"), ())
    assert states(web.jmap(SETTINGS, gone)) == {"jmap": [State.WRONG]}


def test_the_table_names_every_test_and_what_was_seen() -> None:
    facts = PublicFacts(
        (ok("mx", "example.org MX", "10 mail"), wrong("ports", "mail 25", "refused\x1b[2J", remedy="r"))
    )
    results = tuple(PUBLIC.run(facts, "public", lambda _: True))
    shown = terminal.table(Outcome(results, BEGAN, 1.0), facts.findings, book.areas_of)
    lines = shown.splitlines()
    assert re.match(r"mx +passed ", lines[2])
    assert "  ok      example.org MX: 10 mail" in lines
    assert "ports: failed" in lines and "\x1b" not in shown
    assert lines[-1].startswith("Next: pyinfra")


def test_an_error_of_the_look_is_no_traceback() -> None:
    results = PUBLIC.run(TailwartError("there is no resolver to ask"), "public", lambda _: True)
    assert {item.verdict for item in results} == {Verdict.UNKNOWN}
