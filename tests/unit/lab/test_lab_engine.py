"""The engine: flags from the bounding set, packages that are missing, an engine that does not answer."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from lab import engine
from lab.engine import Docker, capabilities, daemon, exec_arguments, install
from tailwart.errors import TailwartError

ALL = (1 << 41) - 1
SYS_RESOURCE = 24


def status(bits: int) -> str:
    return f"Name:\tdockerd\nCapEff:\t0000000000000000\nCapBnd:\t{bits:016x}\nSeccomp:\t0\n"


def test_a_whole_bounding_set_gives_privileged() -> None:
    assert capabilities.missing(status(ALL)) == ()
    assert "--privileged" in capabilities.flags(())


def test_a_missing_capability_is_dropped_by_name_and_privileged_is_not_asked_for() -> None:
    absent = capabilities.missing(status(ALL & ~(1 << SYS_RESOURCE)))
    assert absent == ("SYS_RESOURCE",)
    flags = capabilities.flags(absent)
    assert "--privileged" not in flags
    assert flags[flags.index("--cap-drop") + 1] == "SYS_RESOURCE"
    assert "/dev/net/tun" in flags


def test_bits_of_a_newer_kernel_and_a_status_without_the_line_do_not_matter() -> None:
    assert capabilities.missing(status(ALL | 1 << 45)) == ()
    assert capabilities.missing("Name:\tx\n") == ()


def test_values_of_variables_stay_out_of_the_arguments() -> None:
    arguments = exec_arguments("c", ["swaks"], variables=("SWAKS_OPT_auth_password",))
    assert arguments == ["exec", "--env", "SWAKS_OPT_auth_password", "c", "swaks"]


@pytest.fixture
def bin_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of its own: programs exist when a test writes them. State and cache are of the test, too."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setattr(install, "_SEARCH", str(directory))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return directory


def program(directory: Path, name: str, body: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_without_docker_there_is_no_engine(bin_directory: Path) -> None:
    assert engine.find() is None


def test_the_machines_own_engine_is_used_when_it_answers(bin_directory: Path) -> None:
    program(bin_directory, "docker", "echo 27.5.1")
    found = engine.find()
    assert found is not None
    assert found.socket == ""


def test_a_client_that_exits_0_without_a_server_is_no_engine(bin_directory: Path) -> None:
    program(bin_directory, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 0")
    assert engine.find() is None


def apt(directory: Path, tmp_path: Path, known: str, works_after_update: bool = False) -> Path:
    """An apt that knows packages (all of them after an update) and notes what it is asked."""
    lists, calls = tmp_path / "lists", tmp_path / "calls"
    program(directory, "apt-cache", f'test -e {lists} || case " {known} " in *" $2 "*) ;; *) exit 100;; esac')
    update = f'echo "$*" >> {calls}; case "$1" in update) : > {lists};; *) '
    program(directory, "apt-get", update + (f"test -e {lists};;" if works_after_update else "exit 0;;") + " esac")
    return calls


def test_a_fresh_machine_gets_its_package_lists_first(
    bin_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    calls = apt(bin_directory, tmp_path, known="")
    install.ensure({"mmdebstrap": ("mmdebstrap", "makes the base image")})
    assert calls.read_text().splitlines() == ["update", "install -y --no-install-recommends mmdebstrap"]
    printed = capsys.readouterr().err
    assert "mmdebstrap is missing (makes the base image)" in printed
    assert "installing mmdebstrap" in printed


def test_lists_that_name_files_which_are_gone_are_fetched_again(
    bin_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    calls = apt(bin_directory, tmp_path, known="mmdebstrap", works_after_update=True)
    install.ensure({"mmdebstrap": ("mmdebstrap", "makes the base image")})
    assert [line.split()[0] for line in calls.read_text().splitlines()] == ["install", "update", "install"]


def test_a_package_that_cannot_be_installed_is_told_with_the_command(
    bin_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    program(bin_directory, "apt-cache", "exit 100")
    program(bin_directory, "apt-get", "exit 100")
    with pytest.raises(TailwartError) as caught:
        install.ensure({"mmdebstrap": ("mmdebstrap", "makes the base image")})
    assert "apt-get install --no-install-recommends mmdebstrap" in caught.value.remedy
    assert "apt.log" in caught.value.remedy


@pytest.mark.parametrize(("known", "chosen"), [("docker-cli docker.io", "docker-cli"), ("docker.io", "docker.io")])
def test_the_first_package_that_this_debian_has_is_chosen(
    bin_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: str, chosen: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    calls = apt(bin_directory, tmp_path, known=f"{known} iproute2 kmod")
    install.ensure({"docker": ("docker-cli|docker.io", "client"), "ip": ("iproute2 kmod", "routes")})
    assert calls.read_text() == f"install -y --no-install-recommends {chosen} iproute2 kmod\n"


def test_who_may_not_install_is_told_the_command(bin_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bin_directory, "apt-get", "exit 1")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(TailwartError) as caught:
        install.ensure({"dockerd": ("docker.io", "container engine of the lab")})
    assert "as root: apt-get install docker.io" in str(caught.value)


def test_a_program_that_is_there_installs_nothing(bin_directory: Path) -> None:
    program(bin_directory, "mmdebstrap", "exit 0")
    install.ensure({"mmdebstrap": ("mmdebstrap", "unused")})


def test_a_dockerd_that_dies_is_told_with_its_own_last_word(bin_directory: Path) -> None:
    program(bin_directory, "docker", "exit 1")
    program(
        bin_directory, "dockerd", "echo 'level=info msg=hello'; echo 'failed to start daemon: no iptables' >&2; exit 1"
    )
    with pytest.raises(TailwartError) as caught:
        daemon.start()
    assert caught.value.seen == "failed to start daemon: no iptables"


def test_a_reused_process_number_is_not_taken_for_our_engine(bin_directory: Path) -> None:
    pid_file = daemon.directory() / "dockerd.pid"
    pid_file.parent.mkdir(parents=True)
    pid_file.write_text(str(os.getpid()))
    assert daemon.running_pid() is None
    assert daemon.stop() is False


def test_an_engine_that_was_killed_is_known_by_its_pid_file(bin_directory: Path) -> None:
    assert not daemon.left_behind()
    assert engine.revive() is None
    pid_file = daemon.directory() / "dockerd.pid"
    pid_file.parent.mkdir(parents=True)
    pid_file.write_text("4194305")  # beyond the largest process number of Linux
    assert daemon.left_behind()


def test_a_failed_command_tells_its_last_words(bin_directory: Path) -> None:
    program(bin_directory, "docker", "echo 'no such container' >&2; exit 3")
    with pytest.raises(TailwartError) as caught:
        Docker().run("start", "x")
    assert caught.value.what == "docker start failed (exit code 3)"
    assert caught.value.seen == "no such container"
    assert Docker().run("start", "x", check=False).returncode == 3


def test_a_private_engine_is_addressed_by_its_socket_whatever_the_user_has_set(
    bin_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere")
    program(bin_directory, "docker", 'echo "$DOCKER_HOST"')
    assert Docker("unix:///x").text("version") == "unix:///x"
    assert Docker().text("version") == "tcp://elsewhere"
    assert isinstance(Docker().run("version"), subprocess.CompletedProcess)
