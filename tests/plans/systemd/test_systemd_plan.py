"""A new role with a timer: one declaration and one operation, planned on hosts that answer like systemd."""

from __future__ import annotations

import base64
import logging

import pytest

from tailwart.hosts import units
from tailwart.hosts.files import HostFile
from tailwart.hosts.watch import Watch
from tailwart.operations import systemd
from tests.plans.mailbox.fakehost import REPORT, fake_run
from tests.unit.operations.systemctl import absent, shown

BACKUP = units.timer(
    "tailwart-backup",
    description="Backs the mailbox up",
    script=HostFile("/opt/tailwart/backup/run.sh", "exec true\n", "0755"),
    schedule=("OnCalendar=03:00", "Persistent=true"),
)


def deploy() -> None:
    systemd.activate(name="Backup: every night", unit=BACKUP)


def report(output: str, files: tuple[HostFile, ...] = BACKUP.files) -> list[str]:
    rows = [f"probe\t{BACKUP.watch.probes[0][0]}\t0\t{base64.b64encode(output.encode()).decode()}"]
    for file in files:
        rows += [f"path\tregular file\t{file.mode}\troot:root\t{file.path}", f"sha256\t{file.sha256}\t{file.path}"]
    return rows


def test_a_timer_that_is_up_to_date_is_no_change_and_one_command() -> None:
    with fake_run(report(shown(BACKUP))) as run:
        assert run.plan(deploy) == 0
        assert len(run.commands) == 1
        assert run.execute() == 0


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (report(absent(BACKUP), ()), "/etc/systemd/system/tailwart-backup.timer changes"),
        (report(shown(BACKUP, {"UnitFileState": "disabled"})), "tailwart-backup.timer is disabled"),
        (report(shown(BACKUP, {"ActiveState": "failed"})), "tailwart-backup.timer is failed"),
        (report(shown(BACKUP, {"NeedDaemonReload": "yes"})), "systemd has loaded an older tailwart-backup.timer"),
    ],
)
def test_each_deviation_is_one_change_with_its_reason(
    lines: list[str], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with fake_run(lines) as run, caplog.at_level(logging.INFO):
        run.state.config.DIFF = True
        assert run.plan(deploy) == 1
        assert all(REPORT in command for command in run.commands), "a plan changes nothing"
    assert reason in caplog.text


def test_a_unit_that_stays_down_fails_the_host(caplog: pytest.LogCaptureFixture) -> None:
    with fake_run(report(shown(BACKUP, {"ActiveState": "failed"})), responses={"mktemp": "written"}) as run:
        run.plan(deploy)
        with caplog.at_level(logging.ERROR), pytest.raises(Exception, match="No hosts remaining"):
            run.execute()
        assert any("systemctl restart tailwart-backup.timer" in command for command in run.commands)
    assert "tailwart-backup.timer cannot be activated" in caplog.text
    assert "systemctl status" in caplog.text


def test_a_role_whose_facts_lack_the_unit_is_a_mistake_of_the_deploy() -> None:
    def mistaken() -> None:
        systemd.activate(name="Backup", unit=BACKUP, watch=Watch(("/etc",)))

    with fake_run([]) as run:
        run.plan(mistaken)
        assert run.state.failed_hosts == {run.host}
