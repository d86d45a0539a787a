"""The settings plane against a server that runs: the stand-in, or the real one (STALWART_BINARY)."""

from __future__ import annotations

from pydantic import SecretStr

from tailwart.stalwart.settings.inputs import AccountInput
from tests.plans.stalwart.stalwart_host import StalwartHost
from tests.unit.stalwart.sample import names, settings


def test_from_an_empty_store_with_one_restart(host: StalwartHost) -> None:
    host.deploy(settings())
    assert host.starts == 2, "one start with the defaults, one restart"
    observed = host.plane(settings()).observe()
    assert names(observed.planned) == set()
    assert observed.up_to_date
    assert not [name for name in host.running_environment() if name.startswith("STALWART_RECOVERY")]
    listening = {place for item in host.objects("NetworkListener") for place in item["bind"]}
    assert listening == {f"[::]:{port}" for port in (25, 465, 587, 143, 993, 443, 8080)}
    assert {item["name"] for item in host.objects("MtaRoute")} >= {"mx", "local", "smarthost"}


def test_the_second_run_writes_and_restarts_nothing(host: StalwartHost) -> None:
    host.deploy(settings())
    starts, commands = host.starts, host.commands
    host.deploy(settings())
    assert host.starts == starts
    assert host.commands - commands == 2


def test_no_secret_is_in_any_command(host: StalwartHost) -> None:
    host.deploy(settings())
    scripts = "\n".join(host.scripts)
    for secret in ("admin-password-1", "alice-password-1", "$argon2id$", "STALWART_RECOVERY_ADMIN=admin"):
        assert secret not in scripts


def test_a_changed_password_works_at_once(host: StalwartHost) -> None:
    host.deploy(settings())
    starts = host.starts
    admin = AccountInput("admin@example.org", SecretStr('another "one" \\ 2'), admin=True)
    changed = settings(accounts=(admin, settings().accounts[1]))
    host.deploy(changed)
    assert host.starts == starts
    assert host.plane(changed).observe().up_to_date
