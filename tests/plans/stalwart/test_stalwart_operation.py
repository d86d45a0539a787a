"""The settings plane inside pyinfra: a dry run on a bare host shows everything and only reads."""

from __future__ import annotations

import logging

import pytest
from pyinfra.api.host import Host

from tailwart.environment import Environment
from tailwart.stalwart import operations
from tailwart.stalwart.lifecycle.notes import parse_notes
from tailwart.stalwart.lifecycle.server import Observed
from tailwart.stalwart.operations import apply_settings
from tailwart.stalwart.protocol.container import Login
from tailwart.stalwart.protocol.failures import NotReachable
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.settings.inputs import S3Store
from tests.plans.mailbox.fakehost import fake_run
from tests.unit.mailbox.test_mailbox_render import POSTGRES, environment
from tests.unit.stalwart.sample import Deployed, settings

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


def test_a_changed_blob_store_is_refused_at_once_and_the_server_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    deployed = Deployed(settings())
    given = settings(s3=S3Store("http://garage.tail1234.ts.net:3900", "garage", "stalwart-mail", "GKkey"))
    (account, *_) = deployed.server.objects["Account"].values()
    live = Live({**deployed.read().objects, "Account": ({**account, "usedDiskQuota": 4096},)})
    planned = deployed.plan(given)
    asked: list[Environment] = []

    def observed(host: Host, env: Environment) -> Observed:
        asked.append(env)
        mark = "m"
        return Observed(parse_notes("", mark), live, Login(), planned)

    monkeypatch.setattr(operations, "_observed", observed)
    monkeypatch.setattr(operations, "_declared", lambda host, env: given)

    def both() -> None:
        operations.keep_bodies(name="Bodies", environment=ENVIRONMENT)
        deploy()

    with fake_run([]) as run, caplog.at_level(logging.ERROR):
        run.plan(both)
        assert run.state.failed_hosts
        assert len(asked) == 1
        with pytest.raises(Exception, match="No hosts remaining"):
            run.execute()
        assert run.commands == []
    for said in ("4096 bytes of mail", "bucket stalwart-mail at http://garage.tail1234.ts.net:3900", "the data store"):
        assert said in caplog.text


def test_a_server_that_does_not_answer_keeps_no_deploy_from_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(host: Host, env: Environment) -> Observed:
        raise NotReachable("Stalwart does not answer")

    monkeypatch.setattr(operations, "_observed", refused)

    def kept() -> None:
        operations.keep_bodies(name="Bodies", environment=ENVIRONMENT)

    with fake_run([]) as run:
        assert run.plan(kept) == 0
        assert not run.state.failed_hosts
