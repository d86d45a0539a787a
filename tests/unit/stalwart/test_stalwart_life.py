"""A whole run on one host: first start, second run, and death at every step, healed by the next run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher, Type
from pydantic import SecretStr

from tailwart.stalwart.accounts import passwords
from tailwart.stalwart.protocol.failures import LoginRefused
from tailwart.stalwart.settings.inputs import AccountInput
from tests.unit.stalwart.given import settings
from tests.unit.stalwart.machine import Killed, Machine


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(1, 8, 1, type=Type.ID))


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Callable[[], Machine]]:
    made: list[Machine] = []

    def make() -> Machine:
        place = tmp_path / str(len(made))
        place.mkdir()
        made.append(Machine(place))
        return made[-1]

    yield make
    for machine in made:
        machine.close()


def healthy(machine: Machine) -> None:
    """What the operator relies on after a finished run."""
    assert machine.plane(settings()).observe().up_to_date
    assert machine.environment == {}, "the recovery administrator is gone from the running process"
    assert sorted(path.name for path in machine.home.iterdir()) == [
        "bootstrap.env",
        "credentials",
        "fingerprints.json",
        "initialised",
    ]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in machine.home.iterdir())
    assert "[::]:587" in str(machine.server.objects["NetworkListener"])
    assert ":024B " in (machine.bin / "sockets").read_text(), "587 is bound by the process that runs"


def test_first_deploy_restarts_once_and_the_second_does_nothing(machines: Callable[[], Machine]) -> None:
    machine = machines()
    machine.deploy(settings())
    healthy(machine)
    assert machine.starts == 2, "one start with the defaults, one restart"
    before = machine.commands
    machine.deploy(settings())
    assert machine.starts == 2
    assert machine.commands - before == 2, "one look at the bootstrap file, one at everything else"


def test_no_secret_is_in_any_command(machines: Callable[[], Machine]) -> None:
    machine = machines()
    machine.deploy(settings())
    scripts = "\n".join(machine.scripts)
    assert machine.commands > 8
    assert not re.search(r"admin:[0-9a-f]{8}", scripts), "nor is the random administrator of the first start"
    for secret in ("admin-password-1", "alice-password-1", "$argon2id$"):
        assert secret not in scripts


def _steps(machines: Callable[[], Machine]) -> int:
    machine = machines()
    machine.deploy(settings())
    return machine.commands


def test_death_at_every_step_is_healed_by_the_next_run(machines: Callable[[], Machine]) -> None:
    steps = _steps(machines)
    assert steps > 8
    for step in range(1, steps + 1):
        machine = machines()
        machine.kill_at = (step, "after")
        with pytest.raises(Killed):
            machine.deploy(settings())
        machine.kill_at = None
        machine.deploy(settings())
        healthy(machine)


def test_a_changed_admin_password_is_an_ordinary_update(machines: Callable[[], Machine]) -> None:
    machine = machines()
    machine.deploy(settings())
    changed = settings(
        accounts=(AccountInput("admin@example.org", SecretStr('new "admin" \\ 1'), admin=True), settings().accounts[1])
    )
    machine.deploy(changed)
    assert machine.plane(changed).observe().up_to_date
    assert machine.starts == 2


def test_a_password_change_that_died_before_it_was_stored_is_healed(machines: Callable[[], Machine]) -> None:
    changed = settings(
        accounts=(AccountInput("admin@example.org", SecretStr("another-1"), admin=True), settings().accounts[1])
    )
    for step in range(2, 7):
        machine = machines()
        machine.deploy(settings())
        machine.kill_at = (machine.commands + step, "before")
        with pytest.raises(Killed):
            machine.deploy(changed)
        machine.kill_at = None
        machine.deploy(changed)
        assert machine.plane(changed).observe().up_to_date


def test_a_refused_login_names_the_key_and_the_way_back(machines: Callable[[], Machine]) -> None:
    machine = machines()
    machine.deploy(settings())
    machine.server.find("Account", name="admin")
    for item in machine.server.objects["Account"].values():
        item["credentials"] = {"0": {"@type": "Password", "secret": PasswordHasher(1, 8, 1).hash("someone else's")}}
    with pytest.raises(LoginRefused, match=r"STALWART_ADMIN_PASSWORD.*tailwart recover"):
        machine.plane(settings()).observe()


def test_a_listener_change_is_followed_by_one_restart(machines: Callable[[], Machine]) -> None:
    machine = machines()
    machine.deploy(settings())
    drifted = next(item for item in machine.server.objects["NetworkListener"].values() if "[::]:25" in item["bind"])
    drifted["overrideProxyTrustedNetworks"] = {}
    machine.deploy(settings())
    assert machine.starts == 3
    healthy(machine)


def test_a_restart_that_never_came_is_made_up_for(machines: Callable[[], Machine]) -> None:
    machine = machines()
    machine.deploy(settings())
    (machine.home / "restart-required").write_text((machine.bin / "started").read_text())
    machine.deploy(settings())
    assert machine.starts == 3
    assert not (machine.home / "restart-required").exists()


def test_an_account_change_needs_neither_restart_nor_reload(machines: Callable[[], Machine]) -> None:
    machine = machines()
    machine.deploy(settings())
    more = settings(accounts=(*settings().accounts, AccountInput("bob@example.org", SecretStr("bobs-password-1"))))
    machine.deploy(more)
    assert machine.starts == 2
    assert not any(kind == "Action" for _, kind, _ in machine.server.writes)
    assert machine.plane(more).observe().up_to_date


def test_a_bare_host_is_planned_as_creations(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    try:
        observed = machine.plane(settings()).observe()
        assert observed.live is None
        assert {"Domain", "Account", "NetworkListener", "MtaRoute"} <= {
            operation.ref.kind for operation in observed.planned.operations
        }
    finally:
        machine.close()
