"""Units of each kind: what makes one be activated, judged by systemd's own answers, and how it is activated."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace

import pytest

from tailwart.errors import TailwartError
from tailwart.hosts import units
from tailwart.hosts.files import HostFile
from tailwart.hosts.report import HEADER, TRAILER, HostReport, PathState, Probe
from tailwart.hosts.units import Unit, drift
from tailwart.operations.systemd import start
from tailwart.runner import Completed
from tests.unit.operations.systemctl import absent, exec_start, shown

SCRIPT = HostFile("/opt/tailwart/demo/run.sh", "#!/bin/sh\nexec true\n", "0755")
SERVICE = units.service(
    "demo", description="Demo", script=SCRIPT, unit=("After=docker.service",), options=("Restart=always",)
)
TIMER = units.timer("demo", description="Demo", script=SCRIPT, schedule=("OnCalendar=03:00", "Persistent=true"))
PATH = units.path("demo", description="Demo", script=SCRIPT, changed="/etc/resolv.conf", done="true")
OLDER = "0" * 64


def report(unit: Unit, output: str, code: int = 0, files: tuple[HostFile, ...] | None = None) -> HostReport:
    present = unit.files if files is None else files
    paths = {file.path: PathState("file", file.mode, file.owner, file.sha256) for file in present}
    return HostReport(paths=paths, probes={unit.watch.probes[0][0]: Probe(code, output.encode())})


@pytest.mark.parametrize("unit", [SERVICE, TIMER, PATH])
def test_a_unit_that_runs_from_its_present_files_is_up_to_date(unit: Unit) -> None:
    assert drift(unit, report(unit, shown(unit))) == []


@pytest.mark.parametrize("unit", [SERVICE, TIMER, PATH])
def test_a_unit_that_is_absent_gets_its_files_first(unit: Unit) -> None:
    assert drift(unit, report(unit, absent(unit), files=())) == [f"{file.path} changes" for file in unit.files]
    assert f"systemd has no {unit.name}" in drift(unit, report(unit, absent(unit)))
    assert drift(unit, HostReport()), "a host that says nothing about it is not up to date"


@pytest.mark.parametrize(
    ("unit", "starter", "service", "reason"),
    [
        (SERVICE, {}, {"UnitFileState": "disabled"}, "demo.service is disabled"),
        (SERVICE, {}, {"ActiveState": "inactive", "CommandLine": ""}, "demo.service is inactive"),
        (SERVICE, {}, {"ActiveState": "failed", "CommandLine": ""}, "demo.service is failed"),
        # Its process ended and systemd waits to start it again.
        (SERVICE, {}, {"ActiveState": "activating", "CommandLine": ""}, "demo.service is activating"),
        (SERVICE, {}, {"NeedDaemonReload": "yes"}, "systemd has loaded an older demo.service"),
        (SERVICE, {}, {"CommandLine": f"/bin/sh {SCRIPT.path} {OLDER} "}, "demo.service runs an older version"),
        (SERVICE, {}, {"FragmentPath": "/run/systemd/system/demo.service"}, "demo.service is loaded from /run"),
        (SERVICE, {}, {"LoadState": "masked", "FragmentPath": ""}, "systemd has no demo.service"),
        (TIMER, {"UnitFileState": "disabled"}, {}, "demo.timer is disabled"),
        (TIMER, {"ActiveState": "inactive"}, {}, "demo.timer is inactive"),
        (TIMER, {"ActiveState": "failed"}, {}, "demo.timer is failed"),
        (TIMER, {"NeedDaemonReload": "yes"}, {}, "systemd has loaded an older demo.timer"),
        (TIMER, {}, {"NeedDaemonReload": "yes"}, "systemd has loaded an older demo.service"),
        (TIMER, {}, {"ExecStart": exec_start(TIMER, OLDER)}, "systemd has loaded an older demo.service"),
        (PATH, {"UnitFileState": ""}, {}, "demo.path is not enabled"),
        (PATH, {"ActiveState": "failed"}, {}, "demo.path is failed"),
        (PATH, {"NeedDaemonReload": "yes"}, {}, "systemd has loaded an older demo.path"),
    ],
)
def test_each_deviation_is_a_reason(unit: Unit, starter: dict[str, str], service: dict[str, str], reason: str) -> None:
    (found,) = drift(unit, report(unit, shown(unit, starter, service)))
    assert found.startswith(reason)


def test_the_last_result_of_a_service_that_a_timer_starts_is_no_reason() -> None:
    assert drift(TIMER, report(TIMER, shown(TIMER, service={"ActiveState": "failed"}))) == []


def test_a_path_unit_whose_service_has_work_left_is_activated() -> None:
    assert drift(PATH, report(PATH, shown(PATH), code=1)) == ["demo.service has work to do"]


@pytest.mark.parametrize(
    "changed",
    [
        units.service("demo", description="Demo", script=SCRIPT, unit=("After=docker.service",)),
        units.service(
            "demo",
            description="Demo",
            script=replace(SCRIPT, content="exec false\n"),
            unit=("After=docker.service",),
            options=("Restart=always",),
        ),
    ],
)
def test_a_changed_script_or_option_is_another_version(changed: Unit) -> None:
    # Written and even loaded, by a run that died before the restart.
    written = report(changed, shown(changed, service={"CommandLine": " ".join(SERVICE.command)}))
    assert drift(changed, written) == ["demo.service runs an older version"]


def test_another_schedule_is_another_file_of_the_timer_alone() -> None:
    later = units.timer("demo", description="Demo", script=SCRIPT, schedule=("OnCalendar=04:00",))
    assert drift(later, report(TIMER, shown(TIMER))) == ["/etc/systemd/system/demo.timer changes"]


def test_a_declaration_is_two_files_and_a_script_for_a_timer() -> None:
    script, service, timer = TIMER.files
    assert script == SCRIPT
    assert f"ExecStart=/bin/sh {SCRIPT.path} {TIMER.command[-1]}\nType=oneshot\n" in service.data.decode()
    assert "[Install]" not in service.data.decode(), "at boot the timer starts, not the service"
    assert "[Timer]\nOnCalendar=03:00\nPersistent=true\n" in timer.data.decode()
    assert "WantedBy=timers.target" in timer.data.decode()


@dataclass
class Host:
    """A host whose units are as ``before`` until they are restarted, and as ``after`` from then on."""

    unit: Unit
    after: str
    restart_fails: bool = False
    scripts: list[str] = field(default_factory=list)

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        self.scripts.append(script)
        if "tailwart-host-report" in script:
            return Completed(True, "\n".join(_lines(report(self.unit, self.after))), "")
        if "systemctl restart" in script and self.restart_fails:
            return Completed(False, "", f"Job for {self.unit.name} failed.")
        if "journalctl" in script:
            return Completed(True, "run.sh: 1: syntax error\n", "")
        return Completed(True, "written\n", "")


def _lines(found: HostReport) -> list[str]:
    rows = [HEADER]
    for path, state in found.paths.items():
        rows += [f"path\tregular file\t{state.mode}\t{state.owner}\t{path}", f"sha256\t{state.sha256}\t{path}"]
    for name, probe in found.probes.items():
        rows.append(f"probe\t{name}\t{probe.exit_code}\t{base64.b64encode(probe.output).decode()}")
    return [*rows, TRAILER]


@pytest.mark.parametrize(("unit", "runs_once"), [(SERVICE, False), (TIMER, False), (PATH, True)])
def test_activating_writes_loads_enables_and_restarts_in_that_order(unit: Unit, runs_once: bool) -> None:
    host = Host(unit, shown(unit))
    start(host, unit)
    written, activated, read_back = host.scripts
    assert all(file.path in written for file in unit.files)
    steps = ("daemon-reload", f"enable {unit.name}", "reset-failed", f"restart {unit.name}")
    positions = [activated.index(f"systemctl {step}") for step in steps]
    assert positions == sorted(positions)
    assert ("systemctl start demo.service" in activated) is runs_once, "a path unit alone has not seen earlier changes"
    assert "tailwart-host-report" in read_back


@pytest.mark.parametrize("restart_fails", [True, False])
def test_a_unit_that_does_not_come_up_fails_with_its_journal(restart_fails: bool) -> None:
    host = Host(SERVICE, shown(SERVICE, service={"ActiveState": "failed", "CommandLine": ""}), restart_fails)
    with pytest.raises(TailwartError) as failure:
        start(host, SERVICE)
    assert "demo.service is failed" in failure.value.seen
    assert "syntax error" in failure.value.seen
    assert "systemctl status demo.service" in failure.value.remedy
