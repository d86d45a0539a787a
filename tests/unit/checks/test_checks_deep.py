"""The slow checks: they run only when asked for, and judge what the hosts answer."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

import pytest
from pydantic import SecretStr

from tailwart.checks import edge, mailbox_facts, outgoing, relaying
from tailwart.checks.doctor import catalogue, chooser
from tailwart.checks.edge import EDGE, EdgeFacts
from tailwart.checks.mailbox import MAILBOX
from tailwart.checks.model import Verdict
from tailwart.environment import Environment
from tailwart.hosts.report import HostReport, Probe
from tailwart.hosts.watch import script
from tests.unit.checks import test_checks_facts as facts
from tests.unit.checks.test_checks_facts import probe
from tests.unit.checks.test_checks_model import SETTINGS

PASSWORD = 'a"secret\\word'
LOGIN = SETTINGS.model_copy(
    update={
        "smarthost_username": "stalwart",
        "smarthost_password": SecretStr(PASSWORD),
        "probe_outbound": ("one.example:25", "two.example:25", "one.example:587", "[2001:db8::1]:443"),
    }
)
DIRECT = LOGIN.model_copy(update={"smarthost_address": None})
OPEN = "one.example:25 1\ntwo.example:25 0\none.example:587 0\n[2001:db8::1]:443 0\n"
BLOCKED = "one.example:25 143\ntwo.example:25 1\none.example:587 1\n[2001:db8::1]:443 0\n"
REFUSED = "helo 250 x\nfrom: 250 ok\nto: 550 5.1.2 no\nfrom:postmaster@example.org 250 ok\n"


def mailbox(settings: Environment, identifier: str, probes: Mapping[str, Probe]) -> tuple[Verdict, str]:
    (result,) = MAILBOX.run(
        facts.mailbox(probes, settings), "mailbox", lambda check: check.id == f"mailbox.{identifier}"
    )
    return result.verdict, " ".join(result.seen)


def test_a_slow_check_runs_by_its_own_name_or_when_all_are_asked_for() -> None:
    slow = {check.id for check in catalogue() if check.deep}
    assert {"mailbox.smarthost-login", "mailbox.outbound-smtp", "edge.no-open-relay"} <= slow
    chosen = {
        words: {check.id for check in catalogue() if chooser(words, deep=deep)(check)}
        for words, deep in (((), False), (("edge",), True), (("mailbox.smarthost-login",), False))
    }
    assert not chosen[()] & slow
    assert "edge.no-open-relay" in chosen["edge",]
    assert chosen["mailbox.smarthost-login",] == {"mailbox.smarthost-login"}


def test_facts_of_slow_checks_are_asked_for_by_them_alone() -> None:
    names = [name for name, _ in mailbox_facts.watch(LOGIN).probes]
    assert not {outgoing.LOGIN, outgoing.OUTBOUND} & set(names)
    assert relaying.PROBE not in [name for name, _ in edge.watch(SETTINGS, SETTINGS.edges[0]).probes]
    for watch in (mailbox_facts.watch(LOGIN, deep=True), edge.watch(SETTINGS, SETTINGS.edges[0], deep=True)):
        checked = subprocess.run(["dash", "-n"], input=script(watch), capture_output=True, text=True, check=False)
        assert checked.stderr == ""


def test_the_smarthosts_password_is_in_no_script() -> None:
    """It is the container's own variable: curl gets it by standard input, quoted as its configuration wants it."""
    command = dict(outgoing.probes(LOGIN))[outgoing.LOGIN]
    assert PASSWORD not in command and "secret" not in command
    inner = command.removeprefix("docker exec stalwart ").removesuffix(" 2>&1").replace("curl --config -", "cat")
    shown = subprocess.run(
        ["dash", "-c", inner.replace(">/dev/null", "")],
        env={"STALWART_SMARTHOST_PASSWORD": PASSWORD, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert 'user = "stalwart:a\\"secret\\\\word"' in shown
    assert 'url = "smtp://192.0.2.25:587"' in shown and "ssl-reqd" in shown


@pytest.mark.parametrize(
    ("settings", "answer", "expected", "seen"),
    [
        (LOGIN, probe(""), Verdict.PASSED, ""),
        (LOGIN, probe("curl: (67) Login denied", 67), Verdict.FAILED, "refuses stalwart"),
        (LOGIN, probe("curl: (60) SSL certificate problem", 60), Verdict.FAILED, "no TLS"),
        (LOGIN, probe("curl: (28) timed out", 28), Verdict.UNKNOWN, "does not answer"),
        (LOGIN, probe("No such container", 1), Verdict.UNKNOWN, "No such container"),
        (LOGIN, None, Verdict.UNKNOWN, "not tried"),
        (SETTINGS, None, Verdict.SKIPPED, "SMARTHOST_USERNAME"),
        (DIRECT, None, Verdict.SKIPPED, "SMARTHOST_ADDRESS"),
    ],
)
def test_the_login_at_the_smarthost(settings: Environment, answer: Probe | None, expected: Verdict, seen: str) -> None:
    found, said = mailbox(settings, "smarthost-login", {} if answer is None else {outgoing.LOGIN: answer})
    assert found is expected and seen in said


@pytest.mark.parametrize(
    ("settings", "answer", "expected", "seen"),
    [
        (DIRECT, probe(OPEN), Verdict.PASSED, ""),
        (DIRECT, probe(BLOCKED), Verdict.FAILED, "25, 587 blocked; 443 open"),
        (LOGIN, probe(BLOCKED), Verdict.SKIPPED, "25, 587 blocked; 443 open"),
        (DIRECT, probe(OPEN[:16]), Verdict.UNKNOWN, "two.example:25 was not dialled"),
        (DIRECT, probe("", 1), Verdict.UNKNOWN, "cannot be read"),
    ],
)
def test_the_ports_on_which_mail_leaves(settings: Environment, answer: Probe, expected: Verdict, seen: str) -> None:
    found, said = mailbox(settings, "outbound-smtp", {outgoing.OUTBOUND: answer})
    assert found is expected and seen in said


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (probe(BLOCKED), Verdict.PASSED),
        (probe(BLOCKED.replace("443 0", "443 1")), Verdict.FAILED),
        (probe("", 1), Verdict.UNKNOWN),
    ],
)
def test_the_port_of_everything_else(answer: Probe, expected: Verdict) -> None:
    assert mailbox(DIRECT, "outbound-https", {outgoing.OUTBOUND: answer})[0] is expected
    nothing = DIRECT.model_copy(update={"probe_outbound": ("one.example:25",)})
    assert mailbox(nothing, "outbound-https", {outgoing.OUTBOUND: probe("one.example:25 0")})[0] is Verdict.SKIPPED


@pytest.mark.parametrize(
    ("answer", "expected", "seen"),
    [
        (probe(f"{REFUSED}to:postmaster@example.org 550 5.1.2 no\n"), Verdict.PASSED, ""),
        (probe(f"{REFUSED}to:postmaster@example.org 250 ok\n"), Verdict.FAILED, "<postmaster@example.org>"),
        (probe("from: 250 ok\nto: 250 ok\nfrom:postmaster@example.org 550 spf\n"), Verdict.FAILED, "from <>"),
        (probe(f"{REFUSED}to:postmaster@example.org 451 later\n"), Verdict.UNKNOWN, "451 later"),
        (probe("connect: Connection refused", 7), Verdict.UNKNOWN, "Connection refused"),
        (None, Verdict.UNKNOWN, "not asked"),
    ],
)
def test_an_edge_that_relays_for_strangers(answer: Probe | None, expected: Verdict, seen: str) -> None:
    report = HostReport(probes={} if answer is None else {relaying.PROBE: answer})
    found = EdgeFacts(SETTINGS, SETTINGS.edges[0], report, facts.NOW, facts.NOW)
    (result,) = EDGE.run(found, "edge-1", lambda check: check.id == "edge.no-open-relay")
    assert result.verdict is expected and seen in " ".join(result.seen)


def test_an_edge_that_takes_no_mail_cannot_relay() -> None:
    only_imaps = SETTINGS.edges[0].model_copy(update={"services": ()})
    settings = SETTINGS.model_copy(update={"edges": (only_imaps,)})
    found = EdgeFacts(settings, only_imaps, HostReport(), facts.NOW, facts.NOW)
    (result,) = EDGE.run(found, "edge-1", lambda check: check.id == "edge.no-open-relay")
    assert result.verdict is Verdict.SKIPPED
