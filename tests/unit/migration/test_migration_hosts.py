"""Which host may be left and which may take over, asked by the real scripts in a shell of this machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tailwart.errors import TailwartError
from tailwart.hosts.files import HostFile
from tailwart.hosts.project import ComposeProject
from tailwart.mailbox import names
from tailwart.migration import hosts
from tailwart.migration.journal import Journal, Step
from tailwart.runner import Completed

# What the engine says: containers that run, volumes that there are, the health of the server.
_DOCKER = """#!/bin/sh
case $* in
  "ps -q"*) cat {here}/running 2>/dev/null ;;
  "volume inspect"*) [ -e {here}/volumes ] && echo {here} ;;
  "inspect --format"*) cat {here}/health 2>/dev/null ;;
esac
"""


class Host:
    """This machine with another folder for the mailbox and an engine that says what a test lets it."""

    def __init__(self, here: Path) -> None:
        self.here = here
        self.mailbox = here / "mailbox"
        self.mailbox.mkdir(parents=True)
        for name, script in (("docker", _DOCKER.format(here=here)), ("systemctl", f"#!/bin/sh\ncat {here}/units\n")):
            (here / name).write_text(script)
            (here / name).chmod(0o755)
        (here / "units").write_text("inactive\ninactive\n")

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        done = subprocess.run(
            ["sh", "-c", script.replace(names.DIRECTORY, str(self.mailbox)).replace("/run/tailwart-", f"{self.here}/")],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": f"{self.here}:{os.environ['PATH']}"},
        )
        return Completed(done.returncode == 0, done.stdout, done.stderr)

    def note(self, step: Step) -> None:
        (self.mailbox / names.MOVED).write_text(Journal("root@192.0.2.11:22", step).dump())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


def test_a_bare_host_and_one_that_the_mailbox_has_left_may_take_over(host: Host) -> None:
    hosts.refuse_foreign(host, 1000)
    (host.here / "volumes").touch()
    host.note(Step.DONE)
    hosts.refuse_foreign(host, 1000)
    (host.mailbox / names.MOVED).unlink()
    (host.mailbox / "arriving").touch()
    hosts.refuse_foreign(host, 1000)


@pytest.mark.parametrize("step", [None, Step.STOPPED, Step.MOVED])
def test_a_mailbox_that_is_somebodys_is_left_alone(host: Host, step: Step | None) -> None:
    (host.here / "volumes").touch()
    if step:
        host.note(step)
    with pytest.raises(TailwartError, match="holds a mailbox already"):
        hosts.refuse_foreign(host, 1000)


def test_a_mailbox_that_runs_is_nobodys_to_replace_whatever_its_notes_say(host: Host) -> None:
    (host.here / "volumes").touch()
    host.note(Step.DONE)
    (host.here / "running").write_text("c0ffee\n")
    with pytest.raises(TailwartError, match="holds a mailbox already"):
        hosts.refuse_foreign(host, 1000)


def test_a_disk_that_is_too_small_is_told_before_anything_is_copied(host: Host) -> None:
    with pytest.raises(TailwartError, match="no room") as caught:
        hosts.refuse_foreign(host, 10**18)
    assert "1200000000.0 GB" in caught.value.expected


def test_one_machine_under_two_names_is_one(host: Host, tmp_path: Path) -> None:
    hosts.refuse_the_same(host, Host(tmp_path / "other"))
    with pytest.raises(TailwartError, match="on that host already"):
        hosts.refuse_the_same(host, host)


def test_only_a_healthy_mailbox_as_env_says_moves(host: Host) -> None:
    file = HostFile(f"{names.DIRECTORY}/compose.yaml", "services: {}\n")
    project = ComposeProject("tailwart-mailbox", names.DIRECTORY, (file,), ())
    local = HostFile(f"{host.mailbox}/compose.yaml", "services: {}\n")
    here = ComposeProject("tailwart-mailbox", str(host.mailbox), (local,), ())
    with pytest.raises(TailwartError, match="no healthy mailbox"):
        hosts.refuse_unready(host, project)
    (host.here / "health").write_text("healthy\n")
    with pytest.raises(TailwartError, match=r"not as \.env says") as caught:
        hosts.refuse_unready(host, here)
    assert "compose.yaml" in caught.value.seen
    (host.mailbox / "compose.yaml").write_text("services: {}\n")
    hosts.refuse_unready(host, here)
    (host.here / "units").write_text("active\ninactive\n")
    with pytest.raises(TailwartError, match="a backup or a drill is at work"):
        hosts.refuse_unready(host, here)


def test_a_journal_is_read_where_it_was_written(host: Host) -> None:
    assert hosts.read_journal(host) is None
    host.note(Step.STOPPED)
    assert hosts.read_journal(host) == Journal("root@192.0.2.11:22", Step.STOPPED)
