"""The mailbox's templates, read by the programs that use them: systemd and the shell.

Compose reads its file in tests/lab/test_lab_templates.py: not every machine has a Compose of version 2, a host has.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from tailwart.edge import resolver
from tailwart.hosts import templates, units
from tailwart.hosts.files import HostFile
from tailwart.hosts.report import HostReport
from tailwart.hosts.units import Unit
from tailwart.mailbox import follower
from tailwart.mailbox.names import DIRECTORY
from tailwart.mailbox.project import compose_project
from tailwart.mailbox.render import NO_STORE, NO_TAILNET
from tests.unit.mailbox.test_mailbox_render import POSTGRES, environment

NIGHTLY = units.timer(
    "tailwart-nightly",
    description="Runs every night",
    script=HostFile("/opt/tailwart/nightly.sh", "exit 0\n", "0755"),
    schedule=("OnCalendar=03:00", "Persistent=true"),
)
DOCKER = """#!/bin/sh
# Stands for the docker command: answers as the test says for the two containers, notes what it is asked to do.
case "$*" in
  *FailingStreak*) [ "$STREAK" != next ] || { STREAK=$([ -e "$DONE.asked" ] && echo 10 || echo 5); : >"$DONE.asked"; }
    echo "${STREAK:-0}" ;;
  *State.Health.Log*) echo "\"$HEALTH_OUTPUT\"" ;;
  *State.Health*ts-stalwart) echo "$SIDECAR_HEALTH" ;;
  *State.Health*stalwart)
    [ "$STALWART_HEALTH" = until-restarted ] || { echo "$STALWART_HEALTH"; exit; }
    grep -q restart "$DONE" && echo starting || echo unhealthy ;;
  *State.Status*ts-stalwart) echo "$SIDECAR_STATUS" ;;
  *State.Status*stalwart) echo "$STALWART_STATUS" ;;
  *State.StartedAt*ts-stalwart) echo "$SIDECAR_SINCE" ;;
  *State.StartedAt*stalwart) echo "$STALWART_SINCE" ;;
  start*|restart*) echo "$*" >>"$DONE" ;;
  events*) printf '%s\\n' "$EVENTS" ;;
esac
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project's directory as a deploy leaves it, on this machine."""
    made = compose_project(environment(**{**POSTGRES, "stalwart_db_password": """pa$$ w'or"d\\#{x}`"""}))
    for file in (*made.files, *follower.UNIT.files):
        if file.path.startswith(made.directory):
            path = tmp_path / file.path.removeprefix(made.directory + "/")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(file.data)
    return tmp_path


def test_a_name_the_template_does_not_know_is_an_error() -> None:
    with pytest.raises((UndefinedError, TypeError), match="ndefined"):
        templates.render("mailbox/compose.yaml.j2", v=object())


def test_the_unit_runs_the_script_with_its_digest() -> None:
    digest = follower.UNIT.command[-1]
    assert f"ExecStart=/bin/sh /opt/tailwart/mailbox/follow.sh {digest}\n" in follower.UNIT.files[1].data.decode()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here; the lab's hosts have it")
@pytest.mark.parametrize("unit", [follower.UNIT, resolver.UNIT, NIGHTLY], ids=lambda unit: unit.name)
def test_systemd_accepts_the_unit(tmp_path: Path, unit: Unit) -> None:
    for file in unit.files[1:]:
        (tmp_path / Path(file.path).name).write_bytes(file.data)
    paths = [str(tmp_path / name) for name in unit.names]
    result = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False)
    assert not [line for line in result.stderr.splitlines() if any(name in line for name in unit.names)]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here; the lab's hosts have it")
@pytest.mark.parametrize("unit", [follower.UNIT, resolver.UNIT], ids=lambda unit: unit.name)
def test_systemd_finds_little_that_a_unit_of_the_deploy_could_abuse(tmp_path: Path, unit: Unit) -> None:
    for file in unit.files[1:]:
        (tmp_path / Path(file.path).name).write_bytes(file.data)
    # From 0 (nothing exposed) to 100; a unit without any of this has 96.
    words = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(tmp_path / unit.service)]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr


def follow(directory: Path, *arguments: str, **answers: str) -> list[str]:
    """Run the follower with a docker command that gives these ``answers``; returns what docker was asked to do."""
    tools = directory / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "docker").write_text(DOCKER)
    (tools / "docker").chmod(0o755)
    done = directory / "done"
    done.write_text("")
    defaults = {
        "SIDECAR_HEALTH": "healthy",
        "SIDECAR_STATUS": "running",
        "STALWART_STATUS": "running",
        "SIDECAR_SINCE": "2026-11-21T02:00:00Z",
        "STALWART_SINCE": "2026-11-21T02:00:05.5Z",
        "EVENTS": "ts-stalwart",
        "STALWART_HEALTH": "healthy",
        "HEALTH_OUTPUT": NO_TAILNET,
    }
    subprocess.run(
        ["sh", str(directory / "follow.sh"), *arguments],
        env={**os.environ, **defaults, **answers, "DONE": str(done), "PATH": f"{tools}:{os.environ['PATH']}"},
        check=False,
        timeout=30,
    )
    return done.read_text().splitlines()


def test_stalwart_is_left_alone_when_it_started_after_its_sidecar(project: Path) -> None:
    assert follow(project, "once") == []


def test_stalwart_follows_a_sidecar_that_was_restarted(project: Path) -> None:
    assert follow(project, "once", SIDECAR_SINCE="2026-11-21T02:00:05.51Z") == ["restart stalwart"]


@pytest.mark.parametrize("status", ["created", "exited"])
def test_stalwart_is_started_once_its_sidecar_is_healthy(project: Path, status: str) -> None:
    assert follow(project, "once", STALWART_STATUS=status) == ["start stalwart"]
    assert follow(project, "once", STALWART_STATUS=status, SIDECAR_HEALTH="starting") == []


def test_on_a_host_without_containers_nothing_is_started(project: Path) -> None:
    assert follow(project, "once", SIDECAR_HEALTH="", STALWART_STATUS="") == []


def test_the_state_at_the_start_and_each_event_are_acted_upon(project: Path) -> None:
    assert follow(project, STALWART_STATUS="created") == ["start stalwart", "start stalwart"]


def test_a_stalwart_that_hangs_is_restarted_and_that_is_written_down(project: Path) -> None:
    assert follow(project, "once", STALWART_HEALTH="unhealthy", STREAK="9") == []
    assert follow(project, "once", STALWART_HEALTH="unhealthy", STREAK="10") == ["restart -t 10 stalwart"]
    report = HostReport(contents={f"{DIRECTORY}/restarts.log": (project / "restarts.log").read_bytes()})
    (line,) = follower.restarts(report, datetime.now(UTC))
    assert line.startswith("stalwart hung and was restarted on 20")
    assert follower.restarts(report, datetime.now(UTC) + timedelta(days=8)) == []


def test_what_hangs_again_is_not_restarted_for_ever(project: Path) -> None:
    sick = {"STALWART_HEALTH": "unhealthy", "STREAK": "99"}
    assert follow(project, "once", **sick) == ["restart -t 10 stalwart"]
    assert follow(project, "once", **sick) == []
    assert follow(project, "once", **sick, FOLLOW_PAUSE="0") == ["restart -t 10 stalwart"]


def test_a_sidecar_that_hangs_is_restarted_and_stalwart_waits_for_it(project: Path) -> None:
    sick = {"SIDECAR_HEALTH": "unhealthy", "STALWART_HEALTH": "unhealthy", "STREAK": "10"}
    assert follow(project, "once", **sick) == ["restart -t 10 ts-stalwart"]
    assert "ts-stalwart hung" in (project / "restarts.log").read_text()


def test_what_was_paused_by_hand_does_not_hang(project: Path) -> None:
    sick = {"STALWART_HEALTH": "unhealthy", "STREAK": "99"}
    assert follow(project, "once", **sick, STALWART_STATUS="paused") == []
    sick = {"SIDECAR_HEALTH": "unhealthy", "STREAK": "99"}
    assert follow(project, "once", **sick, SIDECAR_STATUS="paused") == []


def test_a_store_that_is_away_restarts_nothing(project: Path) -> None:
    sick = {"SIDECAR_HEALTH": "unhealthy", "STREAK": "99"}
    assert follow(project, "once", **sick, HEALTH_OUTPUT=f"nc: timed out\\n{NO_STORE}") == []
    assert follow(project, "once", **sick, HEALTH_OUTPUT=NO_TAILNET) == ["restart -t 10 ts-stalwart"]


def test_a_stalwart_that_was_stopped_by_hand_stays_stopped(project: Path) -> None:
    assert follow(project, "once", "stalwart", STALWART_STATUS="exited") == []


def test_what_is_unhealthy_is_watched_without_an_event_until_it_is_restarted(project: Path) -> None:
    # Unhealthy until it was restarted, and hanging from the second look on.
    sick = {"STALWART_HEALTH": "until-restarted", "STREAK": "next", "FOLLOW_STEP": "0.1"}
    assert follow(project, "watch", **sick) == ["restart -t 10 stalwart"]


def test_bans_are_read_again_with_the_deploys_key_which_is_in_no_argument(project: Path) -> None:
    tools = project / "tools"
    follow(project, "bans")
    (project / "credentials").write_text("Bearer API_secret\n")
    (tools / "docker").write_text(
        '#!/bin/sh\ncase "$*" in *State.Health*) echo healthy ;; exec*) echo "$*"; cat ;; esac\n'
    )
    asked = subprocess.run(
        ["sh", str(project / "follow.sh"), "bans"],
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    arguments, login = asked.rsplit("\n", 2)[:2]
    assert login == "Bearer API_secret"
    assert "ReloadBlockedIps" in arguments
    assert "API_secret" not in arguments
