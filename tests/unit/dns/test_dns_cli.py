"""`tailwart dns` as a user types it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lab.control.faults import Fault
from tailwart.cli.dns import dns
from tailwart.providers.record import APEX, record
from tests.unit.dns.bench import API_KEY, API_SECRET, Bench, FakeApi
from tests.unit.dns.names import Knot

Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_api: FakeApi, knot: Knot, zone: str) -> Command:
    """The command in a directory with a `.env` that leads to the fake API."""
    path = tmp_path / ".env"
    path.write_text(f"""\
DOMAIN={zone}
TS_TAILNET=tailnet.test
EDGES=edge-1
EDGE_1_SSH=root@192.0.2.1
EDGE_1_IPV4=198.51.100.11
SMARTHOST_ADDRESS=198.51.100.25
DNS_PROVIDER=spaceship
SPACESHIP_API_URL={fake_api.url}
SPACESHIP_API_KEY={API_KEY}
SPACESHIP_API_SECRET={API_SECRET}
DNS_NAMESERVERS={knot.nameserver}
OFFLINE=true
""")
    path.chmod(0o600)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAILWART_ENV", str(path))
    connect = socket.create_connection

    def only_here(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
        # `dns check` meets the edges, whose addresses are nobody's; a machine's proxy may answer for them.
        if address[0] != "127.0.0.1":
            raise ConnectionRefusedError("no edge answers here")
        return connect(address, *args, **kwargs)

    monkeypatch.setattr(socket, "create_connection", only_here)

    def run(*words: str) -> Result:
        return CliRunner().invoke(dns, list(words))

    return run


def test_plan_writes_nothing_and_names_the_next_step(command: Command, fake_api: FakeApi) -> None:
    result = command("plan")
    assert result.exit_code == 0, result.output
    assert "+ MX @" in result.output
    assert "tailwart dns apply" in result.output
    assert "DKIM" in result.output, "what is missing is said"
    assert fake_api.count("PUT", "DELETE") == 0


def test_apply_then_no_changes_then_restore(command: Command, knot: Knot, zone: str) -> None:
    assert command("apply", "--yes").exit_code == 0
    assert knot.values(f"mail.{zone}", "A") == ["198.51.100.11"]
    document = json.loads(command("plan", "--json").stdout)
    assert document["changes"] == []
    refused = command("restore", "--yes")
    assert refused.exit_code == 1
    assert "--allow-deletions" in str(refused.exception)
    assert command("restore", "--yes", "--allow-deletions").exit_code == 0
    assert knot.values(f"mail.{zone}", "A") == []
    assert knot.values(f"ns.{zone}", "A") == ["127.0.0.1"], "a foreign record is left where it was"


def test_a_plan_for_a_pull_request_is_a_table_and_writes_nothing(command: Command, fake_api: FakeApi) -> None:
    result = command("plan", "--markdown")
    assert result.exit_code == 0, result.output
    assert "| create | MX \\@ |" in result.stdout
    assert fake_api.count("PUT", "DELETE") == 0


def test_a_kept_plan_is_applied_once_and_refused_when_the_zone_has_moved(
    command: Command, knot: Knot, zone: str, fake_api: FakeApi
) -> None:
    assert "dns apply kept" in command("plan", "--out", "kept").output
    assert fake_api.count("PUT", "DELETE") == 0
    assert command("apply", "kept", "--yes").exit_code == 0
    assert knot.values(f"mail.{zone}", "A") == ["198.51.100.11"]
    writes = fake_api.count("PUT", "DELETE")
    again = command("apply", "kept", "--yes")
    assert again.exit_code == 1
    assert "has moved" in str(again.exception)
    assert fake_api.count("PUT", "DELETE") == writes


def test_a_restore_is_shown_before_it_is_done(command: Command, fake_api: FakeApi) -> None:
    assert command("apply", "--yes").exit_code == 0
    writes = fake_api.count("PUT", "DELETE")
    shown = command("restore", "--dry", "--allow-deletions")
    assert shown.exit_code == 0, shown.output
    assert "- MX @" in shown.output
    assert "Nothing was written. Next: `tailwart dns restore`" in shown.output
    refused = command("restore", "--dry", "--json")
    assert refused.exit_code == 1
    assert "--allow-deletions" in json.loads(refused.stdout)["refused"]
    assert fake_api.count("PUT", "DELETE") == writes


def test_apply_without_a_terminal_wants_a_yes(command: Command, fake_api: FakeApi) -> None:
    result = command("apply")
    assert "--yes" in str(result.exception)
    assert fake_api.count("PUT", "DELETE") == 0


def test_check_finds_a_double_spf_and_a_vanished_record(command: Command, spaceship: Bench, zone: str) -> None:
    command("apply", "--yes")
    spaceship.live()
    second = record(zone, APEX, "TXT", "v=spf1 ip4:192.0.2.77 -all", 3600)
    gone = [entry for entry in spaceship.live() if entry.rrset == ("mail", "A")]
    spaceship.provider.change(zone, [second], gone)
    document = json.loads(command("check", "--json").stdout)
    details = {finding["detail"]: finding for finding in document["findings"]}
    double = next(finding for detail, finding in details.items() if "v=spf1" in detail)
    assert double["lesson"] == 14, document
    assert "ip4:192.0.2.77" in double["remedy"]
    vanished = next(finding for detail, finding in details.items() if detail.endswith("A is missing"))
    assert vanished["remedy"] == f"add: mail.{zone}. 3600 IN A 198.51.100.11"
    assert document["failed"]


def test_check_ends_with_2_where_it_cannot_look(command: Command) -> None:
    result = command("check", "--json", "--zone", "other.test")
    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert document["verdict"] == "not known"
    assert "no mail domain" in document["error"]
    assert "NOT KNOWN" in command("check", "--zone", "other.test").stderr


def test_check_asks_the_resolver_and_the_parent_that_are_named(command: Command, knot: Knot, zone: str) -> None:
    command("apply", "--yes")
    here = knot.nameserver
    result = command("check", "--json", "--resolver", here, "--parent", here, "--blocklist", zone, "--wait", "5")
    document = json.loads(result.stdout)
    assert result.exit_code == 1, "no edge answers here"
    assert document["verdict"] == "fails"
    states = {(finding["area"], finding["state"]) for finding in document["findings"]}
    assert {
        ("delegation", "ok"),
        ("serial", "ok"),
        ("mx", "ok"),
        ("resolvers", "ok"),
        ("blocklists", "unknown"),
    } <= states
    plain = command("check", "--resolver", here, "--parent", here)
    assert plain.stdout.startswith("FAILS: ")


def test_diff_names_what_was_removed_and_added(command: Command, spaceship: Bench, zone: str) -> None:
    command("apply", "--yes")
    command("snapshot")
    assert command("diff").exit_code == 0
    spaceship.live()
    spaceship.provider.change(zone, [record(zone, "new", "A", "192.0.2.3", 600)], [])
    result = command("diff")
    assert result.exit_code == 1
    assert f"ADDED   {zone} new 600 A 192.0.2.3" in result.output


def test_zonefile_prints_bind_text(command: Command, zone: str) -> None:
    result = command("zonefile")
    assert f"{zone}. 3600 IN MX 10 mail.{zone}." in result.stdout
    assert "only the mail server knows" in result.stderr


def test_an_unknown_zone_is_refused(command: Command) -> None:
    assert "no mail domain" in str(command("plan", "--zone", "other.test").exception)


def test_a_refused_key_is_lesson_2_without_the_key(command: Command, fake_api: FakeApi) -> None:
    fake_api.faults.arm(Fault("status", status=401))
    result = command("plan")
    message = result.output + str(result.exception)
    assert "lesson:   2" in message
    assert "allowed addresses" in message
    assert API_SECRET not in message
    assert API_KEY not in message


@pytest.mark.parametrize("name", ["plan", "apply", "check", "lint", "snapshot", "restore", "zonefile", "diff"])
def test_every_command_explains_itself(command: Command, name: str) -> None:
    result = command(name, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 6
