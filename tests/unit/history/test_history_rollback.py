"""The way back: which deploy, its settings beside those of now, and values that nothing declares any more."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tailwart.environment.editing import values
from tailwart.errors import TailwartError
from tailwart.history import inputs, recording, rollback
from tailwart.history.record import Deploy, HostChanges
from tailwart.history.store import Store
from tailwart.plan.model import Action
from tailwart.runner import Completed
from tailwart.stalwart.protocol.values import Ref
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.planning import ObjectChange
from tailwart.stalwart.settings.restoring import replaced_objects, replaced_values, with_replaced
from tests.unit.mailbox.test_mailbox_render import environment

GOOD = "DOMAIN=example.org\n# the people\nACCOUNTS=alice\nACCOUNT_ALICE_PASSWORD=Battery-Staple-7\n"


class Checkout:
    """A checkout with its history; the working directory is in it."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(directory)
        self.path = directory / ".env"
        (directory / "group_data").mkdir()
        self.store = Store("example.org", directory / "state")

    def deployed(self, env: str, group_data: str = "x = 1\n", failure: str = "", **more: str) -> Deploy:
        self.write(env, group_data)
        changes = HostChanges(("Mailbox: files",), before=tuple(more.values()), failure=failure)
        began = datetime(2026, 11, 27, tzinfo=UTC)
        deploy = Deploy("1a2b3c4d5e", False, "alice@laptop", began, 9, "deploy", "image", {"mailbox": changes})
        return self.store.add(deploy, inputs.read(self.path), {})

    def write(self, env: str, group_data: str) -> None:
        self.path.write_text(env)
        Path("group_data/mailbox.py").write_text(group_data)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    return Checkout(tmp_path, monkeypatch)


def test_what_a_command_does_without_a_deploy_is_recorded_beside_settings_that_were_deployed(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(checkout.path.parent / "state"))
    store = Store("example.org")
    on_host: list[str] = []

    def run(script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        on_host.append(stdin)
        return Completed(True, "", "")

    def upgrade(what: str, problem: TailwartError | None = None) -> None:
        with recording.of_command(environment(), run, "backends", "upgrade --stores", what):
            if problem:
                raise problem

    upgrade("Backends: Redis 7.0 → 7.2")
    assert store.all() == [], "without a deploy there are no settings to keep beside it"
    checkout.store = store
    checkout.deployed(GOOD)
    checkout.write("DOMAIN=example.org\nDNS_TTL=7\n", "x = 2\n")
    upgrade("Backends: PostgreSQL 17.1 → 17.2")
    with pytest.raises(TailwartError, match="taken back"):
        upgrade("Backends: PostgreSQL 17.2 → 17.3", TailwartError("failed and was taken back"))
    good, bad = store.all()[1:]
    assert good.command == "upgrade --stores"
    assert good.hosts["backends"].operations == ("Backends: PostgreSQL 17.1 → 17.2",)
    assert "DNS_TTL" not in store.inputs(good).settings
    assert not bad.good and bad.hosts["backends"].failure == "failed and was taken back"
    noted = [json.loads(line)["operations"] for line in on_host]
    assert noted == [
        ["Backends: Redis 7.0 → 7.2"],
        [*good.hosts["backends"].operations],
        [*bad.hosts["backends"].operations],
    ]


def test_the_last_good_deploy_with_other_settings_is_meant(checkout: Checkout) -> None:
    with pytest.raises(TailwartError, match="no earlier good deploy"):
        rollback.target(checkout.store, None)
    first = checkout.deployed(GOOD)
    checkout.deployed(GOOD + "DNS_TTL=5\n", failure="it failed")
    assert rollback.target(checkout.store, None) == first
    bad = checkout.deployed(GOOD + "DNS_TTL=60\n")
    checkout.deployed(GOOD + "DNS_TTL=60\n")
    assert rollback.target(checkout.store, None) == first, "a run that finished the bad one is not the way back"
    assert rollback.target(checkout.store, str(bad.number)) == bad


def test_the_settings_of_then_come_back_and_secrets_and_comments_of_now_stay(checkout: Checkout) -> None:
    first = checkout.deployed(GOOD)
    now = "# my own words\n" + GOOD.replace("Staple-7", "Staple-8").replace("ACCOUNTS=alice", "ACCOUNTS=alice,bob")
    now += "ACCOUNT_BOB_PASSWORD=Another-Horse-1\nMAIL_SERVICES=smtp\n"
    checkout.write(now, "x = 2\n")
    Path("group_data/dns.py").write_text("later = True\n")
    then = checkout.store.inputs(first)
    with rollback.workspace(checkout.path, then) as folder:
        planned = values((folder / ".env").read_text())
        assert planned["ACCOUNTS"] == "alice"
        assert (folder / "group_data" / "mailbox.py").read_text() == "x = 1\n"
        assert not (folder / "group_data" / "dns.py").exists()
        assert (folder / ".env").stat().st_mode & 0o777 == 0o600
        assert checkout.path.read_text() == now, "a plan changes nothing"
    assert not folder.exists()
    kept = rollback.put_back(checkout.path, then)
    after = checkout.path.read_text()
    assert after.startswith("# my own words\n")
    assert values(after)["ACCOUNT_ALICE_PASSWORD"] == "Battery-Staple-8"
    assert values(after)["ACCOUNTS"] == "alice"
    assert "MAIL_SERVICES" not in values(after)
    assert Path("group_data/mailbox.py").read_text() == "x = 1\n"
    assert (kept / ".env").read_text() == now
    assert (kept / "mailbox.py").read_text() == "x = 2\n"
    assert (kept / "dns.py").exists()
    assert kept.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in kept.iterdir()} == {0o600}


def test_a_secret_that_is_gone_is_named(checkout: Checkout) -> None:
    first = checkout.deployed(GOOD)
    checkout.write(GOOD.replace("ACCOUNT_ALICE_PASSWORD=Battery-Staple-7\n", ""), "x = 1\n")
    missing = inputs.missing_secrets(inputs.read(checkout.path), checkout.store.inputs(first))
    assert missing == ["ACCOUNT_ALICE_PASSWORD"]


def change(path: str, old: object, new: object) -> ObjectChange:
    live = {"id": "a", path: old}
    return ObjectChange(Action.UPDATE, Ref("Email", "singleton"), "a", {path: new}, live)


def test_values_that_nothing_declares_any_more_come_back_and_declared_ones_win(checkout: Checkout) -> None:
    first = checkout.deployed(GOOD)
    (one,) = replaced_values([change("maxMessageSize", 100, 200)])
    (two,) = replaced_values([change("maxMessageSize", 200, 300)])
    checkout.deployed(GOOD, one=one)
    checkout.deployed(GOOD, two=two)
    found = replaced_objects(rollback.replaced_since(checkout.store, first))
    assert [(item.kind, item.key, dict(item.fields)) for item in found] == [
        ("Email", "singleton", {"maxMessageSize": 100})
    ]
    declared = DesiredObject("Email", "singleton", {"maxAttachmentSize": 5})
    (merged,) = with_replaced((declared,), found)
    assert merged.fields == {"maxAttachmentSize": 5, "maxMessageSize": 100}
    mine = replace(declared, fields={"maxMessageSize": 7})
    assert with_replaced((mine,), found)[0].fields == {"maxMessageSize": 7}


def test_no_secret_is_among_the_replaced_values() -> None:
    hidden = replace(change("authSecret", "hunter2-is-old", "x"), masked=frozenset({"authSecret"}))
    text = json.dumps(list(replaced_values([hidden])))
    assert "hunter2" not in text
