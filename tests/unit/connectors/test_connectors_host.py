"""Hosts over SSH: every command has an end, every failure a cause, and no unknown key is accepted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest
from pyinfra.api.command import StringCommand
from pyinfra.api.config import Config
from pyinfra.api.connect import connect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State

from tailwart.connectors.host import ConnectionLost, HostConnector
from tailwart.connectors.shell import SshRunner
from tailwart.connectors.ssh import PromptTransport, ssh_data
from tailwart.environment import Environment, SshTarget
from tailwart.errors import TailwartError
from tests.unit.connectors.sshd import Sshd, sshd

MINIMAL = {"domain": "example.org", "ts_tailnet": "tail1234.ts.net"}
Connect = Callable[..., Host]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    with sshd(tmp_path) as found:
        yield found


def environment(server: Sshd) -> Environment:
    return Environment.model_validate(
        {**MINIMAL, "ssh_key": str(server.identity), "ssh_known_hosts": str(server.known_hosts)}
    )


def target(server: Sshd, user: str = "root") -> SshTarget:
    return SshTarget(user=user, host="127.0.0.1", port=server.port)


def connected(server: Sshd, user: str = "root") -> Host:
    data = ssh_data(environment(server), target(server, user))
    inventory = Inventory((["@host/mailbox"], {}), mailbox=([("@host/mailbox", data)], {}))
    state = State(inventory, Config(FAIL_PERCENT=0))
    host = inventory.get_host("mailbox")
    try:
        connect_all(state)
    except PyinfraError:
        assert isinstance(host.connector, HostConnector)
        assert host.connector.problem is not None
        raise host.connector.problem from None
    return host


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(host: Host, script: str, **arguments: object) -> tuple[bool, list[str], list[str]]:
    ok, output = host.run_shell_command(StringCommand(script), **arguments)
    return ok, output.stdout_lines, output.stderr_lines


def test_output_exit_code_and_standard_input_arrive(server: Sshd) -> None:
    server.introduce()
    host = connected(server)
    assert host.name == "mailbox"
    assert run(host, "cat; echo bad >&2; exit 3", _stdin="one\n\ntwo\n") == (False, ["one", "", "two"], ["bad"])
    assert run(host, "true") == (True, [], [])


def test_an_unknown_host_key_is_shown_and_not_accepted(server: Sshd) -> None:
    with pytest.raises(TailwartError) as refused:
        connected(server)
    assert server.host_key.fingerprint in refused.value.seen
    assert "tailwart env trust" in refused.value.remedy
    assert not server.known_hosts.exists()


def test_a_changed_host_key_is_refused_with_the_command_that_removes_the_old_one(server: Sshd) -> None:
    server.introduce(paramiko.ECDSAKey.generate())
    before = server.known_hosts.read_text()
    for attempt in (lambda: connected(server), lambda: SshRunner(environment(server), target(server))("true")):
        with pytest.raises(TailwartError, match="HAS CHANGED") as refused:
            attempt()
        assert server.host_key.fingerprint in refused.value.seen
        assert f"ssh-keygen -f {server.known_hosts} -R '[127.0.0.1]:{server.port}'" in refused.value.remedy
    assert server.known_hosts.read_text() == before


def test_a_refused_login_names_the_key(server: Sshd, tmp_path: Path) -> None:
    server.introduce()
    paramiko.ECDSAKey.generate().write_private_key_file(str(tmp_path / "other"))
    server.identity = tmp_path / "other"
    with pytest.raises(TailwartError, match="refuses the login") as refused:
        connected(server)
    assert str(tmp_path / "other") in refused.value.expected


def test_a_private_key_that_is_not_there_fails_the_host_alone(server: Sshd, tmp_path: Path) -> None:
    server.introduce()
    server.identity = tmp_path / "absent"
    with pytest.raises(TailwartError) as refused:
        connected(server)
    assert "absent" in refused.value.seen
    assert "SSH_KEY" in refused.value.remedy


def test_a_command_has_an_end_and_the_connection_lives_on(server: Sshd) -> None:
    server.introduce()
    host = connected(server)
    with pytest.raises(TimeoutError):
        run(host, "exec sleep 60", _timeout=0.2)
    assert run(host, "echo next") == (True, ["next"], [])


@pytest.mark.parametrize("while_running", [True, False])
def test_a_network_that_falls_silent_ends_the_command(
    server: Sshd, monkeypatch: pytest.MonkeyPatch, while_running: bool
) -> None:
    monkeypatch.setattr(PromptTransport, "silence", 1.0)
    server.introduce()
    host = connected(server)
    assert run(host, "true")[0]
    # A live peer is not given up, however long it has nothing to say.
    assert run(host, "exec sleep 2")[0]
    if while_running:
        threading.Timer(0.2, server.silent.set).start()
    else:
        server.silent.set()
    with pytest.raises(ConnectionLost, match="no sign of life for 1 s"):
        run(host, "exec sleep 60" if while_running else "true")
    with pytest.raises(ConnectionLost, match="no sign of life"):
        run(host, "true")


def test_the_connection_of_the_command_line_ends_as_well(server: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PromptTransport, "silence", 1.0)
    server.introduce()
    with SshRunner(environment(server), target(server)) as runner:
        assert runner("cat", stdin="x").stdout == "x"
        server.silent.set()
        with pytest.raises(TailwartError, match="was lost") as lost:
            runner("true")
    assert "no sign of life" in lost.value.seen


def test_a_production_connection_is_given_up_within_a_minute() -> None:
    assert PromptTransport.silence < 50


@pytest.mark.parametrize(
    ("sudo", "seen"),
    [
        (None, "there is no sudo on the host"),
        ("echo 'sudo: a password is required' >&2; exit 1", "sudo: a password is required"),
        ("echo 'op is not in the sudoers file.' >&2; echo 'sudo: no' >&2; exit 1", "sudo: no"),
    ],
)
def test_another_user_without_the_right_to_sudo_is_told_what_is_needed(
    tmp_path: Path, sudo: str | None, seen: str
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    if sudo is not None:
        program(programs / "sudo", sudo)
    with sshd(tmp_path, str(programs)) as server:
        server.introduce()
        host = connected(server, "op")
        runner = SshRunner(environment(server), target(server, "op"))
        for attempt in (lambda: run(host, "true", _sudo=True), lambda: runner("true")):
            with pytest.raises(TailwartError, match="op cannot become root") as refused:
                attempt()
            assert refused.value.seen == seen
            assert "NOPASSWD" in refused.value.remedy
            assert "doas" in refused.value.expected


def test_another_user_runs_everything_with_sudo(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    program(programs / "sudo", '[ "$1 $2" = "-n -H" ] || [ "$1 $2" = "-H -n" ] || exit 9; shift 2; exec "$@"')
    with sshd(tmp_path, f"{programs}:/usr/bin:/bin") as server:
        server.introduce()
        host = connected(server, "op")
        assert host.data.get("_sudo") is True
        assert run(host, "echo it", _sudo=True) == (True, ["it"], [])
        runner = SshRunner(environment(server), target(server, "op"))
        assert runner('cat; echo "it\'s"', stdin="x\n").stdout == "x\nit's\n"


def test_doas_is_refused_with_a_clear_sentence(server: Sshd) -> None:
    server.introduce()
    with pytest.raises(TailwartError, match="doas is not supported"):
        run(connected(server), "true", _doas=True)
