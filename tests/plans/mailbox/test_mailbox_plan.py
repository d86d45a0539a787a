"""The mailbox role as pyinfra plans and runs it: everything on a bare host, nothing on a settled one, one look each."""

from __future__ import annotations

import logging

import pytest

from tailwart.hosts.project import record
from tailwart.hosts.report import HEADER, TRAILER, parse
from tailwart.mailbox.project import compose_project, unit
from tailwart.operations import compose, engine, hostfiles
from tailwart.operations import unit as units
from tests.plans.mailbox.fakehost import REPORT, fake_run, settled
from tests.unit.mailbox.test_mailbox_render import OAUTH, POSTGRES, environment

ENVIRONMENT = environment(**POSTGRES)
PROJECT = compose_project(ENVIRONMENT)
UNIT = unit(ENVIRONMENT)
COMPOSE = next(file for file in PROJECT.files if file.path == PROJECT.compose_path)
RECORD = record(
    PROJECT,
    parse([HEADER, *settled(PROJECT, UNIT, ""), TRAILER]),
)
SETTLED = settled(PROJECT, UNIT, RECORD)
OPERATIONS = 4


def deploy() -> None:
    """The runbook of tasks/mailbox.py without the settings plane, which has tests of its own."""
    watch = PROJECT.watch
    engine.ensure(name="engine", watch=watch, ipv6_nat=True)
    hostfiles.put(name="files", files=PROJECT.files, directories=PROJECT.directories, watch=watch)
    compose.up(name="up", project=PROJECT)
    units.running(name="unit", unit=UNIT, watch=watch)


def looks(commands: list[str]) -> int:
    return sum(REPORT in command for command in commands)


def test_a_bare_host_has_a_plan_for_everything_and_only_looking_was_done() -> None:
    with fake_run([]) as run:
        assert run.plan(deploy) == OPERATIONS
        assert looks(run.commands) == len(run.commands) == 1


def test_a_settled_host_has_no_change_and_one_command_is_enough_to_know() -> None:
    with fake_run(SETTLED) as run:
        assert run.plan(deploy) == 0
        before = len(run.commands)
        assert run.execute() == 0
        assert before == 1
        assert len(run.commands) == 2, "the answer of the planning stage is not believed when executing"


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        # The stopped container alone; its files and the engine are as they must be.
        ("\tc1\trunning\thealthy\t", "\tc1\texited\t\t", 1),
        # A sidecar that was restarted under Stalwart.
        ("2026-11-21T02:00:00Z", "2026-11-21T09:00:00Z", 1),
        # A file that somebody edited: written again, and what reads it is brought up again.
        (COMPOSE.sha256 + "\t", "0" * 64 + "\t", 2),
        # An older version of the follower still runs.
        (next(line for line in SETTLED if line.startswith("probe")).rpartition("\t")[2], "b2xk", 1),
    ],
)
def test_one_deviation_leads_to_what_repairs_it_and_nothing_else(old: str, new: str, changes: int) -> None:
    report = [line.replace(old, new) for line in SETTLED]
    assert report != SETTLED
    with fake_run(report) as run:
        assert run.plan(deploy) == changes


def test_a_failing_host_stops_the_role_with_an_error_in_the_operators_words(caplog: pytest.LogCaptureFixture) -> None:
    # A bare host whose package manager cannot be reached: the fake host takes the command and nothing comes of it.
    with fake_run([]) as run, caplog.at_level(logging.ERROR):
        run.plan(deploy)
        with pytest.raises(Exception, match="No hosts remaining"):
            run.execute()
    assert "not as it must be after all steps" in caplog.text


def test_no_secret_is_in_any_command_or_log_line(caplog: pytest.LogCaptureFixture) -> None:
    report = [line for line in SETTLED if "authkey" not in line and "/.env" not in line]
    with fake_run(report) as run, caplog.at_level(logging.DEBUG):
        run.state.print_input = run.state.print_output = run.state.print_fact_output = True
        run.plan(deploy)
        with pytest.raises(Exception, match="No hosts remaining"):
            run.execute()
        told = "\n".join(run.commands) + caplog.text + repr(run.state.op_meta)
    assert "base64 -d" in told, "the files were to be written"
    assert OAUTH not in told
    assert "database-password-1" not in told
