"""A whole run on one host: first start, second run, and a crash at every step, repaired by the next run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr

from tailwart.errors import TailwartError
from tailwart.stalwart.protocol.failures import LoginRefused
from tailwart.stalwart.settings.inputs import AccountInput
from tests.unit.stalwart.sample import settings
from tests.unit.stalwart.simulated_host import Killed, SimulatedHost


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Callable[[], SimulatedHost]]:
    made: list[SimulatedHost] = []

    def make() -> SimulatedHost:
        place = tmp_path / str(len(made))
        place.mkdir()
        made.append(SimulatedHost(place))
        return made[-1]

    yield make
    for host in made:
        host.close()


def healthy(host: SimulatedHost) -> None:
    """What the operator relies on after a finished run."""
    assert host.plane(settings()).observe().up_to_date
    assert host.environment == {}, "the recovery administrator is gone from the running process"
    assert sorted(path.name for path in host.home.iterdir()) == [
        "bootstrap.env",
        "credentials",
        "fingerprints.json",
        "initialised",
    ]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in host.home.iterdir())
    kept = "".join(path.read_text() for path in host.home.iterdir())
    assert "admin-password-1" not in kept, "a password in clear on the host"
    assert len(host.server.objects["ApiKey"]) == 1, "one key, whatever was interrupted"
    assert "[::]:587" in str(host.server.objects["NetworkListener"])
    assert ":024B " in (host.bin / "sockets").read_text(), "587 is bound by the process that runs"


def test_first_deploy_restarts_once_and_the_second_does_nothing(hosts: Callable[[], SimulatedHost]) -> None:
    host = hosts()
    host.deploy(settings())
    healthy(host)
    assert host.starts == 2, "one start with the defaults, one restart"
    before = host.commands
    host.deploy(settings())
    assert host.starts == 2
    assert host.commands - before == 2, "one command for the bootstrap file, one for everything else"


def test_no_secret_is_in_any_command(hosts: Callable[[], SimulatedHost]) -> None:
    host = hosts()
    host.deploy(settings())
    scripts = "\n".join(host.scripts)
    assert host.commands > 8
    assert not re.search(r"admin:[0-9a-f]{8}", scripts), "nor is the random administrator of the first start"
    for secret in ("admin-password-1", "alice-password-1", "$argon2id$"):
        assert secret not in scripts


def _steps(hosts: Callable[[], SimulatedHost]) -> int:
    host = hosts()
    host.deploy(settings())
    return host.commands


def test_a_crash_at_every_step_is_repaired_by_the_next_run(hosts: Callable[[], SimulatedHost]) -> None:
    steps = _steps(hosts)
    assert steps > 8
    for step in range(1, steps + 1):
        host = hosts()
        host.kill_at = (step, "after")
        with pytest.raises(Killed):
            host.deploy(settings())
        host.kill_at = None
        host.deploy(settings())
        healthy(host)


def test_a_changed_admin_password_is_an_ordinary_update(hosts: Callable[[], SimulatedHost]) -> None:
    host = hosts()
    host.deploy(settings())
    changed = settings(
        accounts=(AccountInput("admin@example.org", SecretStr('new "admin" \\ 1'), admin=True), settings().accounts[1])
    )
    host.deploy(changed)
    assert host.plane(changed).observe().up_to_date
    assert host.starts == 2


def test_the_password_that_an_earlier_release_kept_is_replaced_by_a_key(hosts: Callable[[], SimulatedHost]) -> None:
    host = hosts()
    host.deploy(settings())
    (host.home / "credentials").write_text("admin@example.org:admin-password-1\n")
    assert not host.plane(settings()).observe().up_to_date
    host.deploy(settings())
    healthy(host)
    assert host.starts == 2, "without a restart"


def test_weak_passwords_are_all_named_and_nothing_is_written(hosts: Callable[[], SimulatedHost]) -> None:
    weak = settings(
        accounts=(
            AccountInput("admin@example.org", SecretStr("K7-vq.Xm2pL"), admin=True),
            AccountInput("alice@example.org", SecretStr("alice123456")),
            AccountInput("bob@example.org", SecretStr("four random words here")),
        )
    )
    host = hosts()
    with pytest.raises(TailwartError, match=r"2 passwords are too weak") as refused:
        host.deploy(weak)
    said = str(refused.value)
    assert "admin@example.org: 11 characters, expected 12 or more" in said
    assert "alice@example.org: easy to guess" in said
    assert "bob@example.org" not in said
    assert "alice123456" not in said
    assert not host.server.objects["Account"]


def test_a_password_change_that_crashed_before_it_was_stored_is_repaired(hosts: Callable[[], SimulatedHost]) -> None:
    changed = settings(
        accounts=(
            AccountInput("admin@example.org", SecretStr("another-long-one-1"), admin=True),
            settings().accounts[1],
        )
    )
    for step in range(2, 7):
        host = hosts()
        host.deploy(settings())
        host.kill_at = (host.commands + step, "before")
        with pytest.raises(Killed):
            host.deploy(changed)
        host.kill_at = None
        host.deploy(changed)
        assert host.plane(changed).observe().up_to_date


def test_a_refused_login_names_the_key_and_the_way_back(hosts: Callable[[], SimulatedHost]) -> None:
    host = hosts()
    host.deploy(settings())
    host.server.find("Account", name="admin")
    for item in host.server.objects["Account"].values():
        item["credentials"] = {"0": {"@type": "Password", "secret": PasswordHasher(1, 8, 1).hash("someone else's")}}
    host.server.objects["ApiKey"].clear()
    with pytest.raises(LoginRefused, match=r"STALWART_ADMIN_PASSWORD.*tailwart recover"):
        host.plane(settings()).observe()


def test_a_listener_change_is_followed_by_one_restart(hosts: Callable[[], SimulatedHost]) -> None:
    host = hosts()
    host.deploy(settings())
    drifted = next(item for item in host.server.objects["NetworkListener"].values() if "[::]:25" in item["bind"])
    drifted["overrideProxyTrustedNetworks"] = {}
    host.deploy(settings())
    assert host.starts == 3
    healthy(host)


def test_a_noted_restart_that_did_not_happen_is_done_by_the_next_run(hosts: Callable[[], SimulatedHost]) -> None:
    host = hosts()
    host.deploy(settings())
    (host.home / "restart-required").write_text((host.bin / "started").read_text())
    host.deploy(settings())
    assert host.starts == 3
    assert not (host.home / "restart-required").exists()


def test_an_account_change_needs_neither_restart_nor_reload(hosts: Callable[[], SimulatedHost]) -> None:
    host = hosts()
    host.deploy(settings())
    more = settings(accounts=(*settings().accounts, AccountInput("bob@example.org", SecretStr("bobs-password-1"))))
    host.deploy(more)
    assert host.starts == 2
    assert not any(kind == "Action" for _, kind, _ in host.server.writes)
    assert host.plane(more).observe().up_to_date


def test_a_bare_host_is_planned_as_creations(tmp_path: Path) -> None:
    host = SimulatedHost(tmp_path)
    try:
        observed = host.plane(settings()).observe()
        assert observed.live is None
        assert {"Domain", "Account", "NetworkListener", "MtaRoute"} <= {
            operation.ref.kind for operation in observed.planned.changes
        }
    finally:
        host.close()
