"""`tailwart bans` as an operator types it, on a server that has banned somebody."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tailwart.cli import bans
from tailwart.cli.commands import bans as commands
from tailwart.environment import load
from tailwart.errors import TailwartError
from tailwart.stalwart.protocol.container import stored_login
from tailwart.stalwart.settings.declaration import from_environment
from tests.plans.stalwart.stalwart_host import StalwartHost
from tests.plans.stalwart.test_stalwart_cli import ENV

GUESSER, OTHER = "127.0.0.20", "127.0.0.21"
LOW = {"mailbox_bans": {"login": {"failures": 3, "for": "10m"}}}
Run = Callable[..., Result]


@pytest.fixture
def run(host: StalwartHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    env = tmp_path / ".env"
    env.touch(mode=0o600)
    env.write_text(ENV)

    @contextmanager
    def reached(_: object) -> Iterator[StalwartHost]:
        yield host

    monkeypatch.setattr(commands, "mailbox_host", reached)
    monkeypatch.setattr(commands, "stored_login", lambda: stored_login(str(host.home)))
    host.deploy(from_environment(load(env).environment, LOW))
    return lambda *words: CliRunner().invoke(bans.bans, list(words), env={"TAILWART_ENV": str(env)})


def guess(host: StalwartHost, source: str, name: str, password: str = "wrong") -> int:  # noqa: S107 - a wrong one
    """The status of one login; 0 where the connection is closed without a word."""
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=30)
    connection.sock = host.space.connect(8080, source=source)
    login = base64.b64encode(f"{name}:{password}".encode()).decode()
    try:
        connection.request("GET", "/jmap/session", headers={"Authorization": f"Basic {login}"})
        return connection.getresponse().status
    except (ConnectionError, http.client.RemoteDisconnected):
        return 0
    finally:
        connection.close()


def ban(host: StalwartHost, source: str) -> None:
    assert [guess(host, source, f"nobody{number}@example.org") for number in range(4)] == [401, 401, 401, 429]
    assert guess(host, source, "alice@example.org") == 0


def test_a_ban_is_listed_with_its_end_and_lifted_for_good(host: StalwartHost, run: Run) -> None:
    ban(host, GUESSER)
    listed = run("list")
    assert listed.exit_code == 0, listed.output
    assert GUESSER in listed.output
    assert "login" in listed.output
    assert "Next: tailwart bans lift ADDRESS" in listed.output
    (entry,) = json.loads(run("list", "--json").output)
    assert entry["address"] == GUESSER
    assert entry["until"] > entry["since"]
    assert f"Lifted: {GUESSER}." in run("lift", GUESSER).output
    # Not banned by its next failure, which it would be if the counted ones were still there.
    assert guess(host, GUESSER, "nobody9@example.org") == 401
    assert json.loads(run("list", "--json").output) == []


def test_a_lift_that_was_interrupted_is_finished_by_the_next(host: StalwartHost, run: Run) -> None:
    ban(host, GUESSER)
    (entry,) = host.objects("BlockedIp")
    host.call("BlockedIp", "set", destroy=[entry["id"]])
    assert guess(host, GUESSER, "alice@example.org") == 0, "the listeners still know it"
    again = run("lift", GUESSER)
    assert (again.exit_code, "is not banned" in again.output) == (0, True)
    assert guess(host, GUESSER, "alice@example.org") == 401


def test_all_bans_are_lifted_at_once(host: StalwartHost, run: Run) -> None:
    ban(host, GUESSER)
    ban(host, OTHER)
    done = json.loads(run("lift", "--all", "--json").output)
    assert (set(done["lifted"]), done["still_banned"]) == ({GUESSER, OTHER}, 0)
    assert [guess(host, source, "alice@example.org") for source in (GUESSER, OTHER)] == [401, 401]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lift",), "one address, or --all"),
        (("lift", GUESSER, "--all"), "one address, or --all"),
        (("lift", "mail.example.org"), "an IPv4 or IPv6 address"),
        (("lift", "198.51.100.7"), "tailwart bans lift 198.51.100.0/24"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_one(
    host: StalwartHost, run: Run, words: tuple[str, ...], said: str
) -> None:
    host.call("BlockedIp", "set", create={"b": {"address": "198.51.100.0/24"}})
    refused = run(*words)
    assert isinstance(refused.exception, TailwartError)
    assert said in str(refused.exception)
