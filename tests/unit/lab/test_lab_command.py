"""The command line on a machine where no lab runs, and the texts of status and fetch."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from lab import cli, console, engine, locking, mail, paths
from lab.engine import Docker
from lab.images import pulling
from lab.report import HostState, Report
from tailwart.errors import TailwartError


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine, and a state directory of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(engine, "find", lambda: None)


def healthy(problem: str = "") -> Report:
    host = HostState("mailbox", "running", "10.77.0.10", "2001:db8:200::10", 22010, problem)
    return Report((host,), "STAND-IN for Stalwart 0.16.7 (not the real server)", "/x/.env")


def test_the_status_of_a_lab_that_is_down_fails_and_says_how_to_start_it() -> None:
    result = CliRunner().invoke(cli.lab, ["status"])
    assert result.exit_code == 1
    assert "Next: tailwart lab up" in result.output
    document = json.loads(CliRunner().invoke(cli.lab, ["status", "--json"]).output)
    assert document["healthy"] is False


@pytest.mark.parametrize("arguments", [["ssh", "mailbox"], ["logs", "mailbox"], ["env"], ["send"], ["fetch"]])
def test_commands_that_need_the_lab_say_how_to_start_it(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli.lab, arguments)
    assert isinstance(result.exception, TailwartError)
    assert result.exception.remedy == "tailwart lab up"


def test_down_without_a_lab_is_no_error() -> None:
    assert CliRunner().invoke(cli.lab, ["down"]).exit_code == 0


def test_a_problem_of_one_host_fails_the_status_and_leads_to_its_logs() -> None:
    assert healthy().healthy
    broken = healthy("knot does not answer yet")
    assert not broken.healthy
    assert "knot does not answer yet" in broken.text()
    assert broken.text().endswith("Next: tailwart lab logs mailbox")
    assert not Report((), "", "").healthy


def test_the_status_calls_the_stand_in_a_stand_in() -> None:
    assert "Stalwart: STAND-IN" in healthy().text()
    assert "STAND-IN" in json.dumps(healthy().document())


def test_an_excerpt_has_the_wanted_fields_every_time_they_occur_and_the_body() -> None:
    text = "Received: a\r\nReceived: b\r\nSubject: s\r\nX-Other: no\r\n\r\nhello\r\n"
    assert mail.excerpt(text, ["received", " Subject"]) == "Received: a\nReceived: b\nSubject: s\n\nhello\r\n"


def test_fetch_waits_only_for_a_message_that_went_the_same_way() -> None:
    mail.remember("0123", outside=False)
    assert mail.last_sent(outside=False) == "0123"
    assert mail.last_sent(outside=True) is None


def test_an_unknown_user_is_answered_with_the_known_ones() -> None:
    assert mail.password("alice@tailwart.test") == mail.password("alice")
    with pytest.raises(TailwartError, match="alice or bob"):
        mail.password("carol")


def test_a_registry_that_refused_is_not_asked_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(self: Docker, *arguments: str, **_: object) -> None:
        asked.append(arguments)
        raise TailwartError("docker pull failed")

    monkeypatch.setattr(Docker, "run", refuse)
    assert not pulling.pulled(Docker(), "debian:trixie")
    assert not pulling.pulled(Docker(), "debian:trixie-slim")
    assert len(asked) == 1
    marker = paths.state() / "no-registry"
    yesterday = time.time() - 86400
    os.utime(marker, (yesterday, yesterday))
    assert not pulling.pulled(Docker(), "debian:trixie-slim")
    assert len(asked) == 2


def test_a_quick_step_leaves_no_line_and_a_failed_one_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with console.step("quick", quiet_under=5):
        pass
    assert capsys.readouterr().err == ""
    with pytest.raises(ValueError, match="x"), console.step("broken"):
        raise ValueError("x")
    assert "broken: FAILED after" in capsys.readouterr().err


def test_the_lock_is_free_again_after_its_block() -> None:
    with locking.exclusive():
        pass
    with locking.exclusive():
        pass
