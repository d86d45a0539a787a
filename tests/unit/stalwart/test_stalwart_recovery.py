"""Locked out, and back in: also when the recovery itself dies at any step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher, Type

from tailwart.errors import TailwartError
from tailwart.stalwart.accounts import passwords
from tailwart.stalwart.lifecycle import bootstrap, recovery
from tests.unit.stalwart.sample import settings
from tests.unit.stalwart.simulated_host import Killed, SimulatedHost

ADDRESS, PASSWORD = "admin@example.org", "admin-password-1"
FORGOTTEN = PasswordHasher(1, 8, 1, type=Type.ID).hash("a password that nobody knows")


@pytest.fixture
def locked_out(tmp_path: Path) -> Iterator[Callable[[], SimulatedHost]]:
    made: list[SimulatedHost] = []

    def make() -> SimulatedHost:
        place = tmp_path / str(len(made))
        place.mkdir()
        host = SimulatedHost(place)
        made.append(host)
        host.deploy(settings())
        for item in host.server.objects["Account"].values():
            if item["name"] == "admin":
                item["credentials"]["0"]["secret"] = FORGOTTEN
        host.commands = 0
        return host

    yield make
    for host in made:
        host.close()


def recover(host: SimulatedHost) -> None:
    recovery.Recovery(host, host.up, directory=str(host.home), base=host.base).reset_password(ADDRESS, PASSWORD)


def clean(host: SimulatedHost) -> None:
    assert host.environment == {}, "no recovery variable in the running process"
    assert bootstrap.prepared(host, str(host.home)), "the next deploy finds nothing to do here"
    assert host.plane(settings()).observe().up_to_date


def test_recovery_restores_the_password_of_the_file(locked_out: Callable[[], SimulatedHost]) -> None:
    host = locked_out()
    starts = host.starts
    recover(host)
    clean(host)
    assert host.starts == starts + 2, "into recovery mode, and out of it"


def test_recovery_creates_an_administrator_that_was_deleted(locked_out: Callable[[], SimulatedHost]) -> None:
    host = locked_out()
    admin = host.server.find("Account", name="admin")["id"]
    del host.server.objects["Account"][admin]
    recover(host)
    clean(host)


def test_recovery_that_dies_anywhere_is_ended_by_the_next_one(locked_out: Callable[[], SimulatedHost]) -> None:
    host = locked_out()
    recover(host)
    steps = host.commands
    for step in range(1, steps + 1):
        host = locked_out()
        host.kill_at = (step, "after")
        with pytest.raises(Killed):
            recover(host)
        host.kill_at = None
        recover(host)
        clean(host)


def test_recovery_that_dies_is_also_ended_by_a_deploy(locked_out: Callable[[], SimulatedHost]) -> None:
    host = locked_out()
    host.kill_at = (5, "after")
    with pytest.raises(Killed):
        recover(host)
    host.kill_at = None
    for item in host.server.objects["Account"].values():
        if item["name"] == "admin":
            item["credentials"] = {"0": {"@type": "Password", "secret": passwords.HASHER.hash(PASSWORD)}}
    host.deploy(settings())
    clean(host)


def test_a_server_that_was_never_set_up_is_not_opened_in_recovery_mode(tmp_path: Path) -> None:
    host = SimulatedHost(tmp_path)
    try:
        with pytest.raises(TailwartError, match="has not been set up"):
            recover(host)
        assert host.starts == 0
    finally:
        host.close()


def test_no_recovery_password_is_in_any_command(locked_out: Callable[[], SimulatedHost]) -> None:
    host = locked_out()
    recover(host)
    assert "STALWART_RECOVERY_ADMIN=admin" not in "\n".join(host.scripts)
    assert PASSWORD not in "\n".join(host.scripts)
