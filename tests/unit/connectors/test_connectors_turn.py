"""Two runs at once: one has the turn, the other is told whose it is and since when; a dead one's turn is free."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from pyinfra.api.command import StringCommand
from pyinfra.api.config import Config
from pyinfra.api.connect import connect_all
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State

from tailwart.connectors import turn
from tailwart.connectors.host import ConnectionLost, HostConnector
from tailwart.connectors.ssh import ssh_data
from tailwart.connectors.turn import Busy, HostTurn, description, plane_turn
from tailwart.environment import Environment, SshTarget
from tailwart.errors import TailwartError
from tailwart.facts import turns
from tailwart.hosts.turn import hold
from tests.unit.connectors.sshd import Sshd, sshd
from tests.waiting import until

Other = Callable[[], None]


@pytest.fixture(autouse=True)
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """A host whose lock is a file of the test, and on which a turn is over after two seconds of silence."""
    paths = {"lock": str(tmp_path / "lock"), "holder": str(tmp_path / "holder")}
    monkeypatch.setattr(turn, "hold", partial(hold, **paths, lease=2.0))
    monkeypatch.setattr(turn, "LEASE", 2.0)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with sshd(tmp_path) as found:
        found.introduce()
        yield found


@pytest.fixture
def another_run(monkeypatch: pytest.MonkeyPatch) -> Other:
    """From the call on, turns are asked for by another run."""
    return lambda: monkeypatch.setattr(turn, "RUN", "another")


def state_of(server: Sshd) -> State:
    environment = Environment.model_validate(
        {
            "domain": "example.org",
            "ts_tailnet": "tail1234.ts.net",
            "ssh_key": str(server.identity),
            "ssh_known_hosts": str(server.known_hosts),
        }
    )
    data = ssh_data(environment, SshTarget(user="root", host="127.0.0.1", port=server.port))
    state = State(Inventory((["@host/mailbox"], {}), mailbox=([("@host/mailbox", data)], {})), Config())
    connect_all(state)
    return state


def host_of(server: Sshd) -> Host:
    return state_of(server).inventory.get_host("mailbox")


def take(host: Host) -> HostTurn:
    return HostTurn(cast("HostConnector", host.connector), {}, description())


def is_free(host: Host) -> bool:
    try:
        take(host).end()
    except Busy:
        return False
    return True


def test_the_second_run_is_told_who_and_since_when_and_comes_next(server: Sshd, another_run: Other) -> None:
    first = take(host_of(server))
    another_run()
    second = host_of(server)
    with pytest.raises(Busy) as busy:
        take(second)
    assert re.fullmatch(r".+@.+ \(process \d+\) since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", str(busy.value))
    first.end()
    until(lambda: is_free(second), "the turn of a run that ended is free")


def test_a_run_that_dies_gives_its_turn_back(server: Sshd, another_run: Other) -> None:
    dying = host_of(server)
    take(dying)
    another_run()
    assert not is_free(host_of(server))
    cast("HostConnector", dying.connector).close()
    until(lambda: is_free(host_of(server)), "the turn of a dead run is free")


def test_a_run_that_falls_silent_loses_its_turn_and_notices(server: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "LEASE", 60.0)  # it gives no sign of life in time
    silent = take(host_of(server))
    monkeypatch.setattr(turn, "RUN", "another")
    until(lambda: is_free(host_of(server)), "the turn of a silent run is free")
    with pytest.raises(ConnectionLost, match="turn on the host is over"):
        silent.changing()


def test_a_run_that_lives_keeps_its_turn(server: Sshd, another_run: Other) -> None:
    living = take(host_of(server))
    another_run()
    waiting = host_of(server)
    # Longer than a turn lasts without a sign of life.
    connector = cast("HostConnector", waiting.connector)
    assert connector.run_shell_command(StringCommand("exec sleep 3"))[0]
    assert not is_free(waiting)
    living.changing()


def test_one_machine_may_be_two_hosts_of_one_run(server: Sshd) -> None:
    take(host_of(server))
    take(host_of(server)).changing()


def test_what_was_read_beside_the_turn_counts_unless_somebody_has_just_changed_the_host(
    server: Sshd, another_run: Other
) -> None:
    first = take(host_of(server))
    assert first.fresh
    first.changing()
    first.end()
    another_run()
    host = host_of(server)
    until(lambda: is_free(host), "the turn is free")
    assert not take(host).fresh


def test_a_run_that_may_not_wait_is_refused_and_touches_nothing(
    server: Sshd, monkeypatch: pytest.MonkeyPatch, another_run: Other
) -> None:
    monkeypatch.setenv("TAILWART_WAIT", "0")
    take(host_of(server))
    another_run()
    state = state_of(server)
    turns.take_all(state)
    with pytest.raises(TailwartError, match="another run is at work on mailbox") as refused:
        turns.check(state.inventory.get_host("mailbox"), changing=True)
    assert "process" in refused.value.seen


def test_a_run_that_waits_reads_anew(server: Sshd, another_run: Other) -> None:
    first = take(host_of(server))
    another_run()
    state = state_of(server)
    first_is_over = []

    def ends() -> float:
        first.end()
        first_is_over.append(True)
        return 0.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turns.random, "random", ends)
        assert turns.take_all(state) is False
    assert first_is_over
    turns.check(state.inventory.get_host("mailbox"), changing=True)


def test_a_command_waits_for_the_run_that_has_the_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tailwart.connectors.turn._POLL", 0.01)
    told: list[str] = []
    inside = threading.Event()

    def second() -> None:
        with plane_turn("dns", "example.org", told.append):
            inside.set()

    thread = threading.Thread(target=second)
    with plane_turn("dns", "example.org"):
        thread.start()
        until(lambda: told, "the second run to say for whom it waits")
        assert not inside.is_set()
    thread.join(30)
    assert inside.is_set()
    assert len(told) == 1
    assert "is at work on @plane/dns; waiting up to 600 s" in told[0]


def test_a_plane_has_one_run_at_a_time_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILWART_WAIT", "0")
    with plane_turn("dns", "example.org"):
        with (
            pytest.raises(TailwartError, match="another run is at work on @plane/dns"),
            plane_turn("dns", "example.org"),
        ):
            pass
        with plane_turn("dns", "example.net"), plane_turn("tailnet", "example.org"):
            pass
    with plane_turn("dns", "example.org"):
        pass


def test_a_plane_without_a_place_for_its_lock_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(TailwartError, match="set XDG_STATE_HOME to a folder"), plane_turn("dns", "example.org"):
        pass
