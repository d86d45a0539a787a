"""The settings plane inside pyinfra: a dry run on a bare host shows everything and only reads."""

from __future__ import annotations

import logging

import pytest

from tailwart.stalwart.operations import apply_settings
from tests.plans.mailbox.fakehost import fake_run
from tests.unit.mailbox.test_mailbox_render import POSTGRES, environment

ENVIRONMENT = environment(
    **POSTGRES,
    stalwart_admin_password="a long admin password",
    accounts=[{"name": "alice", "password": "alices own password", "aliases": "postmaster"}],
)


def deploy() -> None:
    apply_settings(name="Settings of Stalwart", environment=ENVIRONMENT)


def test_a_bare_host_is_planned_as_creations_with_one_command(caplog: pytest.LogCaptureFixture) -> None:
    with fake_run([]) as run, caplog.at_level(logging.DEBUG):
        run.state.config.DIFF = True
        assert run.plan(deploy) == 1
        assert len(run.commands) == 1
        assert "mv -f" not in run.commands[0], "nothing is written while planning"
    for expected in (
        "+ Domain example.org",
        "+ Account alice@example.org",
        "+ NetworkListener 587 (submission)",
        "+ SystemSettings singleton",
        "then restart",
    ):
        assert expected in caplog.text
    for secret in ("a long admin password", "alices own password"):
        assert secret not in caplog.text


def test_without_diff_the_plan_is_counted_but_not_printed(caplog: pytest.LogCaptureFixture) -> None:
    with fake_run([]) as run, caplog.at_level(logging.INFO):
        assert run.plan(deploy) == 1
    assert "+ Domain" not in caplog.text
