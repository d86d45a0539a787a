"""Bringing a project up: checks change nothing, preparations run only where they are needed, then Compose."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tailwart.errors import TailwartError
from tailwart.hosts.files import HostFile
from tailwart.hosts.project import Check, ComposeProject, Preparation, drift, record
from tailwart.hosts.report import HEADER, TRAILER, Engine, HostReport, Probe
from tailwart.mailbox.project import compose_project
from tailwart.operations.compose import bring_up
from tailwart.runner import Completed
from tests.unit.mailbox.test_mailbox_render import environment
from tests.unit.operations.shell import Shell
from tests.unit.operations.test_operations_project import PROJECT, SIDECAR, STALWART

CHECK = Check("no device", "test -c /dev/device", "a device", "plug it in")
PREPARATION = Preparation("the module is loaded", "[ ! -e /dev/m ]", "modprobe m", "no module", "another kernel")
COMPOSE = HostFile("/opt/demo/compose.yaml", "services: {}\n")
GUARDED = replace(PROJECT, directory="/opt/demo", files=(COMPOSE,), checks=(CHECK,), preparations=(PREPARATION,))
MAILBOX = compose_project(environment())


@dataclass
class Host:
    """Keeps the scripts, fails those that hold one of ``broken``, and never has a container."""

    broken: tuple[str, ...] = ()
    scripts: list[str] = field(default_factory=list)

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        self.scripts.append(script)
        if "tailwart-host-report" in script:
            return Completed(True, "\n".join((HEADER, "engine\t26.1\tfalse\t2.26.1\t", TRAILER)), "")
        return Completed(not any(part in script for part in self.broken), "", "refused")

    def position(self, part: str) -> int:
        return next(index for index, script in enumerate(self.scripts) if part in script)


def brought_up(host: Host, project: ComposeProject = GUARDED) -> TailwartError:
    with pytest.raises(TailwartError) as failure:
        bring_up(host, project)
    return failure.value


@pytest.mark.parametrize(
    ("broken", "message"), [("config --quiet", "does not accept"), ("test -c /dev/device", "no device")]
)
def test_a_check_that_fails_leaves_everything_as_it_was(broken: str, message: str) -> None:
    host = Host((broken,))
    problem = brought_up(host)
    assert message in problem.what
    assert problem.remedy
    assert not any(part in script for script in host.scripts for part in ("modprobe", " up ", "mktemp"))


def test_a_preparation_that_fails_is_an_error_before_anything_is_brought_up() -> None:
    host = Host(("modprobe m",))
    problem = brought_up(host)
    assert (problem.what, problem.remedy) == ("no module", "another kernel")
    assert not any(" up " in script for script in host.scripts)


def test_checks_come_first_then_preparations_under_the_lock_then_compose() -> None:
    host = Host()
    brought_up(host)
    steps = ("config --quiet", "test -c /dev/device", "flock -w 300 /opt/demo/.lock sh -c", " up -d --remove-orphans")
    positions = [host.position(step) for step in steps]
    assert positions == sorted(positions)


def test_a_preparation_is_carried_out_only_where_it_is_needed_and_asked_again(tmp_path: Path) -> None:
    def prepared(script: str) -> str:
        item = replace(PREPARATION, needed=f"[ ! -e {tmp_path}/device ]", script=script)
        file = replace(COMPOSE, path=f"{tmp_path}/compose.yaml")
        project = replace(GUARDED, directory=str(tmp_path), files=(file,), checks=(), preparations=(item,))
        (tmp_path / "docker").write_text("#!/bin/sh\ncase $* in *config*) ;; *) exit 1 ;; esac\n")
        (tmp_path / "docker").chmod(0o755)

        class Tools(Shell):
            def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
                return super().__call__(f"PATH={tmp_path}:$PATH; {script}", stdin=stdin, timeout=timeout)

        with pytest.raises(TailwartError) as failure:
            bring_up(Tools(), project)
        return failure.value.what

    made = f"echo once >>{tmp_path}/done; touch {tmp_path}/device"
    assert prepared("true") == "no module", "a change that has no effect is not believed"
    assert prepared(made) != "no module"
    assert prepared(made) != "no module"
    assert (tmp_path / "done").read_text() == "once\n"


def test_a_preparation_that_is_needed_is_a_reason_in_the_operators_words() -> None:
    project = replace(PROJECT, preparations=(PREPARATION,))
    last = HostReport(containers=(SIDECAR, STALWART))
    report = HostReport(
        engine=Engine(True, "26.1.5", compose="2.26.1"),
        containers=(SIDECAR, STALWART),
        contents={project.record_path: record(project, last).encode()},
        probes={PREPARATION.probe[0]: Probe(1, b"")},
    )
    assert drift(project, report) == []
    assert drift(project, replace(report, probes={PREPARATION.probe[0]: Probe(0, b"")})) == ["the module is loaded"]


def test_no_check_of_the_mailbox_changes_the_host(tmp_path: Path) -> None:
    for name in ("docker", "modprobe"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{tmp_path}/calls\n')
        (tmp_path / name).chmod(0o755)
    (tmp_path / "calls").touch()
    for item in MAILBOX.checks:
        assert Shell()(f"PATH={tmp_path}:$PATH; {item.script}").ok
    assert set((tmp_path / "calls").read_text().splitlines()) <= {"modprobe --dry-run tun"}


@pytest.mark.parametrize(
    ("answer", "needed"),
    [
        ("exit 1", False),  # there is no such network, or no engine
        ("echo '172.18.0.0/16 fd00:7a17:600d::/64 '", False),
        ("echo '172.18.0.0/16 fd12:3456:789a::/64 '", True),
        ("echo '172.18.0.0/16 '", True),
    ],
)
def test_the_network_is_replaced_only_where_it_has_another_prefix(tmp_path: Path, answer: str, needed: bool) -> None:
    (tmp_path / "docker").write_text(f"#!/bin/sh\n{answer}\n")
    (tmp_path / "docker").chmod(0o755)
    network = next(item for item in MAILBOX.preparations if "network" in item.reason)
    assert Shell()(f"PATH={tmp_path}:$PATH; {network.needed}").ok is needed
    assert "fd00:7a17:600d::/64" in network.reason
    assert "volumes" not in network.script, "the volumes hold the mail"
