"""The mailbox's templates, read by the programs that use them: systemd and the shell.

Compose reads its file in tests/lab/test_lab_templates.py: not every machine has a Compose of version 2, a host has.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from tailwart.mailbox import render
from tailwart.mailbox.project import compose_project
from tests.unit.mailbox.test_mailbox_render import POSTGRES, environment

DOCKER = """#!/bin/sh
# Stands for the docker command: tells what the test says of the two containers, notes what it is asked to do.
case "$*" in
  *State.Health*ts-stalwart) echo "$SIDECAR_HEALTH" ;;
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
    for file in made.files:
        if file.path.startswith(made.directory):
            path = tmp_path / file.path.removeprefix(made.directory + "/")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(file.data)
    return tmp_path


def test_a_name_the_template_does_not_know_is_an_error() -> None:
    with pytest.raises((UndefinedError, TypeError), match="ndefined"):
        render.render("compose.yaml.j2", render.UnitValues(script="/x", digest="y"))


def test_the_unit_runs_the_script_with_its_digest() -> None:
    unit = render.render("tailwart-mailbox.service.j2", render.UnitValues("/opt/follow.sh", "abc"))
    assert "ExecStart=/bin/sh /opt/follow.sh abc\n" in unit


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here; the lab's hosts have it")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    path = tmp_path / "tailwart-mailbox.service"
    path.write_text(render.render("tailwart-mailbox.service.j2", render.UnitValues("/bin/true", "abc")))
    result = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    assert "tailwart-mailbox.service:" not in result.stderr


def follow(directory: Path, *arguments: str, **told: str) -> list[str]:
    """Run the follower with a docker command that tells what ``told`` says; what it asked docker to do."""
    tools = directory / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "docker").write_text(DOCKER)
    (tools / "docker").chmod(0o755)
    done = directory / "done"
    done.write_text("")
    defaults = {
        "SIDECAR_HEALTH": "healthy",
        "STALWART_STATUS": "running",
        "SIDECAR_SINCE": "2026-11-21T02:00:00Z",
        "STALWART_SINCE": "2026-11-21T02:00:05.5Z",
        "EVENTS": "health_status: healthy",
    }
    subprocess.run(
        ["sh", str(directory / "follow.sh"), *arguments],
        env={**os.environ, **defaults, **told, "DONE": str(done), "PATH": f"{tools}:{os.environ['PATH']}"},
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


def test_a_host_without_containers_is_left_in_peace(project: Path) -> None:
    assert follow(project, "once", SIDECAR_HEALTH="", STALWART_STATUS="") == []


def test_the_first_look_and_each_event_are_acted_upon(project: Path) -> None:
    assert follow(project, STALWART_STATUS="created") == ["start stalwart", "start stalwart"]
