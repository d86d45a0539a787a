"""The mailbox's runbook as pyinfra plans and runs it: everything on a bare host, nothing where all is up to date."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Generator, Iterator

import pytest
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.operation import operation
from pyinfra.context import ctx_host

from tailwart import releases
from tailwart.environment import Environment
from tailwart.hosts.project import Preparation, record
from tailwart.hosts.report import HEADER, TRAILER, parse
from tailwart.mailbox import names
from tailwart.mailbox.follower import UNIT
from tailwart.mailbox.project import compose_project
from tailwart.mailbox.render import ROCKSDB_PATH
from tailwart.stalwart import operations as stalwart
from tailwart.upgrade import step
from tasks import mailbox
from tests.plans.mailbox.fakehost import REPORT, FakeRun, fake_run, up_to_date
from tests.unit.mailbox.test_mailbox_render import OAUTH, POSTGRES, environment

ENVIRONMENT = environment(**POSTGRES, mailbox_ssh="root@192.0.2.10")
PROJECT = compose_project(ENVIRONMENT)
COMPOSE = next(file for file in PROJECT.files if file.path == PROJECT.compose_path)
RECORD = record(PROJECT, parse([HEADER, *up_to_date(PROJECT, UNIT, ""), TRAILER]))
UP_TO_DATE = up_to_date(PROJECT, UNIT, RECORD)
RUNBOOK = [
    "Mailbox: the data store is the same",
    "Mailbox: message bodies are where they are looked for",
    "Mailbox: container engine with IPv6 egress for containers",
    "Mailbox: another image is fetched, and the data copied",
    "Mailbox: files of the mailbox",
    "Mailbox: credential for the first start",
    "Mailbox: key for a sidecar that is not on the tailnet",
    "Mailbox: nobody else works on the store",
    "Mailbox: sidecar and Stalwart up and healthy",
    "Mailbox: no key of the tailnet is left",
    "Mailbox: another image is proven",
    "Mailbox: Stalwart follows its sidecar",
    "Mailbox: what the host restarted by itself",
    "Mailbox: settings of Stalwart",
    "Mailbox: no backup by timer",
    "Mailbox: no status page",
    "Mailbox: packet filter, SSH and security updates",
]
STORE, BODIES, ENGINE, FETCH, FILES = RUNBOOK[:5]
KEY, ALONE, BRING_UP, FORGET, PROVE, FOLLOW, TOLD, SETTINGS, NO_BACKUP, NO_PAGE = RUNBOOK[6:16]


@operation()
def unchanged_settings(environment: Environment) -> Generator[PyinfraCommand, None, None]:
    """Stands for Stalwart's settings, which have tests of their own against a running server."""
    ctx_host.get().noop(f"settings of {environment.domain}")
    yield from ()


@pytest.fixture(autouse=True)
def settings_plane(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(stalwart, "apply_settings", unchanged_settings)
    monkeypatch.setattr(stalwart, "keep_bodies", unchanged_settings)
    monkeypatch.setattr(stalwart, "expect", lambda host, environment: None)
    yield


def facts(commands: list[str]) -> int:
    return sum(REPORT in command for command in commands)


def changes(run: FakeRun) -> list[str]:
    """The names of the operations that would change something, in order."""
    metas = ((run.state.get_op_meta(key), run.state.ops[run.host][key]) for key in run.host.op_hash_order)
    return [name for meta, data in metas if data.operation_meta.will_change for name in meta.names]


def test_a_bare_host_has_a_plan_for_everything_and_only_facts_were_gathered() -> None:
    with fake_run([], ENVIRONMENT) as run:
        run.plan(mailbox.deploy)
        assert changes(run) == [
            name
            for name in RUNBOOK
            if name not in (STORE, BODIES, FETCH, PROVE, FORGET, TOLD, SETTINGS, NO_BACKUP, NO_PAGE)
        ]
        assert facts(run.commands) == len(run.commands) == 1


def test_with_a_backup_target_the_host_gets_programs_files_and_both_timers() -> None:
    target = {"backup_target": "/srv/backup", "backup_password": "long-enough-for-it"}
    with fake_run([], environment(**POSTGRES, **target, mailbox_ssh="root@192.0.2.10")) as run:
        run.plan(mailbox.deploy)
        assert [name for name in changes(run) if "backup" in name or "drill" in name] == [
            "Mailbox: programs of the backup",
            "Mailbox: files of the backup",
            "Mailbox: tailwart-backup.timer",
            "Mailbox: tailwart-drill.timer",
        ]
        assert facts(run.commands) == len(run.commands) == 1


def test_without_a_target_any_more_the_timers_go() -> None:
    left = "path\tregular file\t644\troot:root\t/etc/systemd/system/tailwart-backup.timer"
    with fake_run([*UP_TO_DATE, left], ENVIRONMENT) as run:
        run.plan(mailbox.deploy)
        assert changes(run) == [NO_BACKUP]
        run.execute()
        (removal,) = [command for command in run.commands if "disable --now tailwart-backup.timer" in command]
    assert "rm -f /etc/systemd/system/tailwart-backup.timer" in removal
    assert "/opt/tailwart/backup" not in removal


def test_with_a_status_page_the_host_gets_its_program_files_and_units() -> None:
    served = {"status_page": "on", "ts_admin_src": "group:admins"}
    with fake_run([], environment(**POSTGRES, **served, mailbox_ssh="root@192.0.2.10")) as run:
        run.plan(mailbox.deploy)
        assert changes(run)[-5:-1] == [
            "Mailbox: program of the status page",
            "Mailbox: files of the status page",
            "Mailbox: tailwart-status.timer",
            "Mailbox: tailwart-status-web.service",
        ]
        assert facts(run.commands) == len(run.commands) == 1


def test_without_a_status_page_any_more_everything_of_it_goes() -> None:
    left = "path\tregular file\t644\troot:root\t/etc/systemd/system/tailwart-status-web.service"
    with fake_run([*UP_TO_DATE, left], ENVIRONMENT) as run:
        run.plan(mailbox.deploy)
        assert changes(run) == [NO_PAGE]
        run.execute()
        (removal,) = [command for command in run.commands if "disable --now tailwart-status.timer" in command]
    assert "rm -rf /opt/tailwart/status" in removal and "docker rm -f tailwart-status" in removal


def test_the_runbook_is_these_operations_in_this_order() -> None:
    with fake_run(UP_TO_DATE, ENVIRONMENT) as run:
        run.plan(mailbox.deploy)
        found = [name for key in run.host.op_hash_order for name in run.state.get_op_meta(key).names]
    assert found == RUNBOOK


def test_a_host_that_is_up_to_date_has_no_change_and_is_asked_once() -> None:
    with fake_run(UP_TO_DATE, ENVIRONMENT) as run:
        assert run.plan(mailbox.deploy) == 0
        before = len(run.commands)
        assert run.execute() == 0
        assert facts(run.commands[:before]) == before == 1
        assert facts(run.commands) == 2, "the facts of the plan are not used to execute"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # The stopped container alone; its files and the engine are up to date.
        ("\tc1\trunning\thealthy\t", "\tc1\texited\t\t", [BRING_UP]),
        # The stopped sidecar: it may have to join again.
        ("\tc0\trunning\thealthy\t", "\tc0\texited\t\t", [KEY, BRING_UP]),
        # A sidecar that was restarted under Stalwart.
        ("2026-11-21T02:00:00Z", "2026-11-21T09:00:00Z", [BRING_UP]),
        # A file that somebody edited: written again, and what reads it is brought up again.
        (COMPOSE.sha256 + "\t", "0" * 64 + "\t", [FILES, BRING_UP]),
        # An older version of the follower still runs.
        (next(line for line in UP_TO_DATE if line.startswith("probe")).rpartition("\t")[2], "b2xk", [FOLLOW]),
        # Its script was edited: the containers are not touched.
        (UNIT.files[0].sha256 + "\t", "0" * 64 + "\t", [FOLLOW]),
    ],
)
def test_one_deviation_leads_to_what_repairs_it_and_nothing_else(old: str, new: str, expected: list[str]) -> None:
    report = [line.replace(old, new) for line in UP_TO_DATE]
    assert report != UP_TO_DATE
    with fake_run(report, ENVIRONMENT) as run:
        assert run.plan(mailbox.deploy) == len(expected)
        assert changes(run) == expected


def content(path: str, text: str) -> str:
    """A line of the host's report."""
    return f"content\t{base64.b64encode(text.encode()).decode()}\t{path}"


INITIALISED = f"path\tregular file\t600\troot:root\t{names.DIRECTORY}/{names.INITIALISED}"
EMBEDDED = content(names.CONFIG, json.dumps({"@type": "RocksDb", "path": ROCKSDB_PATH}))


def test_another_data_store_is_refused_before_anything_changes(caplog: pytest.LogCaptureFixture) -> None:
    report = [*UP_TO_DATE, INITIALISED, EMBEDDED]
    with fake_run(report, ENVIRONMENT) as run, caplog.at_level(logging.ERROR):
        run.plan(mailbox.deploy)
        assert run.state.failed_hosts
        with pytest.raises(Exception, match="No hosts remaining"):
            run.execute()
        assert facts(run.commands) == len(run.commands), "the host was asked, and nothing was done"
    for said in ("embedded store /var/lib/stalwart/data", "PostgreSQL stalwart at postgres", "tailwart store move"):
        assert said in caplog.text


def test_a_data_store_is_given_up_by_its_name_alone() -> None:
    report = [*UP_TO_DATE, INITIALISED, EMBEDDED]
    with fake_run(report, ENVIRONMENT) as run:
        run.host.data.mailbox_leaves_store = f"embedded store {ROCKSDB_PATH}"
        run.plan(mailbox.deploy)
        assert changes(run) == [STORE]
        run.execute()
        left = next(command for command in run.commands if "docker rm --force stalwart" in command)
        assert f"{names.DIRECTORY}/{names.INITIALISED}" in left
        assert "volume" not in left, "the old store itself is kept"
    with fake_run(report, ENVIRONMENT) as run:
        run.host.data.mailbox_leaves_store = "PostgreSQL stalwart at another.tail1234.ts.net:5432"
        run.plan(mailbox.deploy)
        assert run.state.failed_hosts


def test_a_server_that_was_never_set_up_has_no_data_store_to_keep() -> None:
    with fake_run([*UP_TO_DATE, EMBEDDED], ENVIRONMENT) as run:
        assert run.plan(mailbox.deploy) == 0
        assert not run.state.failed_hosts


def test_another_image_is_fetched_first_and_proven_last(caplog: pytest.LogCaptureFixture) -> None:
    here = COMPOSE.data.decode()
    older = here.replace(str(ENVIRONMENT.stalwart_image), "stalwartlabs/stalwart:v0.16.7")
    assert older != here
    report = [*UP_TO_DATE, INITIALISED, content(COMPOSE.path, older)]
    with fake_run(report, ENVIRONMENT) as run, caplog.at_level(logging.INFO):
        run.state.config.DIFF = True
        run.plan(mailbox.deploy)
        assert changes(run) == [FETCH]
        assert f"Stalwart 0.16.7 → {releases.find(str(ENVIRONMENT.stalwart_image))}" in caplog.text
    # A store that nobody has set up yet has nothing to lose, and an image that failed is not tried again unasked.
    with fake_run([*UP_TO_DATE, content(COMPOSE.path, older)], ENVIRONMENT) as run:
        run.plan(mailbox.deploy)
        assert changes(run) == []
    failed = content(step.REFUSED, json.dumps({"image": str(ENVIRONMENT.stalwart_image)}))
    with fake_run([*report, failed], ENVIRONMENT) as run, caplog.at_level(logging.ERROR):
        run.plan(mailbox.deploy)
        assert run.state.failed_hosts
    assert "failed its proof on this host before" in caplog.text
    # The run before died between the swap and the proof.
    images = step.Images(str(ENVIRONMENT.stalwart_image), str(ENVIRONMENT.tailscale_image))
    note = content(step.NOTE, step.Note(step.Images("stalwartlabs/stalwart:v0.16.7", images.sidecar), images).dump())
    with fake_run([*UP_TO_DATE, INITIALISED, content(COMPOSE.path, here), note], ENVIRONMENT) as run:
        run.plan(mailbox.deploy)
        assert changes(run) == [PROVE]


@pytest.mark.parametrize("preparation", PROJECT.preparations, ids=lambda preparation: preparation.reason)
def test_a_preparation_is_named_in_the_plan(preparation: Preparation, caplog: pytest.LogCaptureFixture) -> None:
    needed = f"probe\t{preparation.probe[0]}\t0\t"
    with fake_run([*UP_TO_DATE, needed], ENVIRONMENT) as run, caplog.at_level(logging.INFO):
        run.state.config.DIFF = True
        run.plan(mailbox.deploy)
        assert changes(run) == [BRING_UP]
    assert preparation.reason in caplog.text


@pytest.mark.parametrize("path", [names.KEY, names.OLD_KEY])
def test_a_key_that_a_run_has_left_behind_is_removed(path: str, caplog: pytest.LogCaptureFixture) -> None:
    report = [*UP_TO_DATE, f"path\tregular file\t600\troot:root\t{path}"]
    with fake_run(report, ENVIRONMENT) as run, caplog.at_level(logging.INFO):
        run.state.config.DIFF = True
        run.plan(mailbox.deploy)
        assert changes(run) == [FORGET]
    # Where an earlier release kept its key, it has joined the sidecar, as an ephemeral node by default.
    assert ("docs/hosts.md (ephemeral)" in caplog.text) == (path == names.OLD_KEY)


def test_a_failing_host_stops_the_role_with_an_error_in_the_operators_words(caplog: pytest.LogCaptureFixture) -> None:
    # A bare host whose package manager cannot be reached: the fake host takes the command and nothing comes of it.
    with fake_run([], ENVIRONMENT) as run, caplog.at_level(logging.ERROR):
        run.plan(mailbox.deploy)
        with pytest.raises(Exception, match="No hosts remaining"):
            run.execute()
    assert "not up to date after all steps" in caplog.text


def test_no_secret_is_in_any_command_or_log_line(caplog: pytest.LogCaptureFixture) -> None:
    report = [line for line in UP_TO_DATE if "authkey" not in line and "/.env" not in line]
    with fake_run(report, ENVIRONMENT) as run, caplog.at_level(logging.DEBUG):
        run.state.print_input = run.state.print_output = run.state.print_fact_output = True
        run.plan(mailbox.deploy)
        with pytest.raises(Exception, match="No hosts remaining"):
            run.execute()
        shown = "\n".join(run.commands) + caplog.text + repr(run.state.op_meta)
    assert "base64 -d" in shown, "the files were to be written"
    assert OAUTH not in shown
    assert "database-password-1" not in shown
