"""Locked out, and back in: also when the recovery itself dies at any step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher, Type

from tailwart.errors import TailwartError
from tailwart.stalwart.accounts import entries as accounts
from tailwart.stalwart.accounts import passwords
from tailwart.stalwart.lifecycle import bootstrap, recovery
from tests.unit.stalwart.given import settings
from tests.unit.stalwart.machine import Killed, Machine

ADDRESS, PASSWORD = "admin@example.org", "admin-password-1"
FORGOTTEN = PasswordHasher(1, 8, 1, type=Type.ID).hash("a password that nobody knows")


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = PasswordHasher(1, 8, 1, type=Type.ID)
    for module in (passwords, accounts, recovery):
        monkeypatch.setattr(module, "HASHER", cheap)


@pytest.fixture
def locked_out(tmp_path: Path) -> Iterator[Callable[[], Machine]]:
    made: list[Machine] = []

    def make() -> Machine:
        place = tmp_path / str(len(made))
        place.mkdir()
        machine = Machine(place)
        made.append(machine)
        machine.deploy(settings())
        for item in machine.server.objects["Account"].values():
            if item["name"] == "admin":
                item["credentials"] = {"0": {"@type": "Password", "secret": FORGOTTEN}}
        machine.commands = 0
        return machine

    yield make
    for machine in made:
        machine.close()


def recover(machine: Machine) -> None:
    recovery.Recovery(machine, machine.up, directory=str(machine.home), base=machine.base).reset_password(
        ADDRESS, PASSWORD
    )


def clean(machine: Machine) -> None:
    assert machine.environment == {}, "no recovery variable in the running process"
    assert bootstrap.prepared(machine, str(machine.home)), "the next deploy finds nothing to do here"
    assert machine.plane(settings()).observe().up_to_date


def test_recovery_restores_the_password_of_the_file(locked_out: Callable[[], Machine]) -> None:
    machine = locked_out()
    starts = machine.starts
    recover(machine)
    clean(machine)
    assert machine.starts == starts + 2, "into recovery mode, and out of it"


def test_recovery_creates_an_administrator_that_was_deleted(locked_out: Callable[[], Machine]) -> None:
    machine = locked_out()
    admin = machine.server.find("Account", name="admin")["id"]
    del machine.server.objects["Account"][admin]
    recover(machine)
    clean(machine)


def test_recovery_that_dies_anywhere_is_ended_by_the_next_one(locked_out: Callable[[], Machine]) -> None:
    machine = locked_out()
    recover(machine)
    steps = machine.commands
    for step in range(1, steps + 1):
        machine = locked_out()
        machine.kill_at = (step, "after")
        with pytest.raises(Killed):
            recover(machine)
        machine.kill_at = None
        recover(machine)
        clean(machine)


def test_recovery_that_dies_is_also_ended_by_a_deploy(locked_out: Callable[[], Machine]) -> None:
    machine = locked_out()
    machine.kill_at = (5, "after")
    with pytest.raises(Killed):
        recover(machine)
    machine.kill_at = None
    for item in machine.server.objects["Account"].values():
        if item["name"] == "admin":
            item["credentials"] = {"0": {"@type": "Password", "secret": passwords.HASHER.hash(PASSWORD)}}
    machine.deploy(settings())
    clean(machine)


def test_a_server_that_was_never_set_up_is_not_opened_in_recovery_mode(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    try:
        with pytest.raises(TailwartError, match="has not been set up"):
            recover(machine)
        assert machine.starts == 0
    finally:
        machine.close()


def test_no_recovery_password_is_in_any_command(locked_out: Callable[[], Machine]) -> None:
    machine = locked_out()
    recover(machine)
    assert "STALWART_RECOVERY_ADMIN=admin" not in "\n".join(machine.scripts)
    assert PASSWORD not in "\n".join(machine.scripts)
