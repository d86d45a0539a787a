"""What a run asks is asked at once; no answer outlives a change; a failed read fails the one who asked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from functools import partial

import gevent
import pytest
from gevent.event import Event
from pyinfra.api.command import FunctionCommand, PyinfraCommand
from pyinfra.api.config import Config
from pyinfra.api.connect import connect_all
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.operations import run_ops
from pyinfra.api.state import State, StateStage
from pyinfra.connectors.fake import FakeConnector
from pyinfra.context import ctx_host, ctx_state

from tailwart.errors import TailwartError
from tailwart.facts import ahead
from tailwart.facts.host import expect, forget, observe
from tailwart.hosts.report import HEADER, TRAILER, HostReport
from tailwart.hosts.watch import Watch
from tailwart.operations.guard import operation
from tailwart.operations.plane import Prepared, expect_plan, plan_and_apply
from tailwart.plan.model import Plan

NAMES = ("one", "two", "three")
PATIENCE = 20
"""Seconds until a test gives up on reads that wait for each other."""
Body = Callable[[], Generator[PyinfraCommand, None, None]]


@operation()
def perform(body: Body) -> Generator[PyinfraCommand, None, None]:
    """Any operation."""
    yield from body()


def nothing() -> Generator[PyinfraCommand, None, None]:
    yield from ()


class Run:
    """A run on fake hosts without a planning phase, like `pyinfra -y`. Hosts take turns in the order of `prepare`."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.reads: list[str] = []
        self.answers: list[tuple[str, int]] = []
        self._turns = 0

    @property
    def hosts(self) -> dict[str, Host]:
        return {host.name.removeprefix("@fake/"): host for host in self.state.inventory}

    def prepare(self, who: str, body: Body) -> None:
        """An operation on one host, after all that were prepared before."""
        host = self.hosts[who]
        with ctx_host.use(host):
            while len(host.op_hash_order) < self._turns:
                perform(name="Another host's turn", body=nothing)
            perform(name=f"Operation of {who}", body=body)
        self._turns = len(host.op_hash_order)

    def announced(self, who: str, work: Callable[[], bool] | None = None) -> None:
        """An operation that asks what was announced, and then executes ``work``, if any."""
        ahead.announce(self.hosts[who], "question", partial(self.read, who))
        self.prepare(who, partial(self.ask, who, work))

    def ask(self, who: str, work: Callable[[], bool] | None = None) -> Generator[PyinfraCommand, None, None]:
        self.answers.append((who, ahead.answer(self.hosts[who], "question", partial(self.read, who))))
        if work is not None:
            yield FunctionCommand(lambda state, host: work(), (), {})

    def read(self, who: str) -> int:
        """The read of one host: the number of all reads so far."""
        self.reads.append(who)
        return len(self.reads)

    def execute(self) -> None:
        """Run what was prepared."""
        self.state.set_stage(StateStage.Execute)
        with gevent.Timeout(PATIENCE):
            run_ops(self.state)


@pytest.fixture
def run() -> Iterator[Run]:
    data = {"fake_delay": 0, "fake_delay_jitter": 0}
    inventory = Inventory(([(f"@fake/{name}", data) for name in NAMES], {}))
    state = State(inventory, Config(), check_for_changes=False)
    state.set_stage(StateStage.Connect)
    with ctx_state.use(state):
        connect_all(state)
        state.set_stage(StateStage.Prepare)
        yield Run(state)


def fake(host: Host, response: object) -> FakeConnector:
    """The connector of a host that answers the question for its facts so."""
    connector = host.connector
    assert isinstance(connector, FakeConnector)
    connector.data["fake_responses"] = {HEADER: response}
    return connector


def test_all_reads_are_under_way_before_the_first_operation_has_its_answer(run: Run) -> None:
    begun = {name: Event() for name in NAMES}
    met: list[str] = []

    def meet(who: str) -> str:
        begun[who].set()
        for other in begun.values():
            other.wait()
        return who

    def ask(who: str) -> Generator[PyinfraCommand, None, None]:
        met.append(ahead.answer(run.hosts[who], "meet", lambda: "read alone"))
        yield from ()

    for name in NAMES:
        ahead.announce(run.hosts[name], "meet", partial(meet, name))
        run.prepare(name, partial(ask, name))
    run.execute()
    assert met == list(NAMES)


def test_a_run_that_changes_nothing_reads_everything_once(run: Run) -> None:
    for name in NAMES:
        run.announced(name)
    assert run.reads == [], "nothing is read before the execution"
    run.execute()
    assert sorted(run.reads) == sorted(NAMES)
    assert [who for who, _ in run.answers] == list(NAMES)


@pytest.mark.parametrize("success", [True, False])
def test_no_answer_outlives_a_command_on_any_host(run: Run, success: bool) -> None:
    run.announced("one")
    run.announced("two", lambda: success)
    run.announced("three")
    run.execute()
    answers = dict(run.answers)
    assert {answers["one"], answers["two"]} <= {1, 2, 3}
    assert answers["three"] == 4, "read again, after the command"


def test_an_answer_is_used_once(run: Run) -> None:
    run.announced("one")
    run.prepare("one", partial(run.ask, "one"))
    run.execute()
    assert run.answers == [("one", 1), ("one", 2)]


def test_forgetting_a_host_drops_all_answers_and_leaves_the_reads_under_way_alone(run: Run) -> None:
    """A greenlet that is killed inside paramiko gives back locks that are another's, and breaks the connection."""
    forgotten = Event()
    ends: list[str] = []

    def slow() -> int:
        try:
            assert forgotten.wait(PATIENCE)
        except gevent.GreenletExit:
            ends.append("killed")
            raise
        ends.append("of itself")
        return 0

    def change() -> bool:
        forget(run.hosts["one"])
        gevent.sleep(0)
        forgotten.set()
        return True

    run.announced("one", change)
    ahead.announce(run.hosts["two"], "question", slow)
    run.prepare("two", partial(run.ask, "two"))
    run.execute()
    assert not run.state.failed_hosts
    assert run.answers == [("one", 1), ("two", 2)]
    assert ends == ["of itself"]


def test_a_host_that_left_the_run_is_not_asked(run: Run) -> None:
    for name in NAMES:
        run.announced(name)
    run.state.fail_hosts({run.hosts["two"]})
    run.execute()
    assert sorted(run.reads) == ["one", "three"]


def test_a_plan_reads_in_its_turn_and_is_not_used_to_execute(run: Run) -> None:
    run.state.check_for_changes = True
    for name in NAMES[:2]:
        run.announced(name)
        assert run.reads[-1] == name
    assert run.reads == ["one", "two"]
    run.execute()
    assert sorted(run.reads) == ["one", "one", "two", "two"]


def test_a_plane_whose_read_fails_fails_its_own_host_in_its_turn(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    logged: list[str] = []

    def refused() -> Prepared:
        run.read("two")
        raise TailwartError("the key is refused", remedy="make another key")

    def first() -> Generator[PyinfraCommand, None, None]:
        yield from run.ask("one")
        gevent.sleep(0)
        logged.append(caplog.text)

    ahead.announce(run.hosts["one"], "question", partial(run.read, "one"))
    run.prepare("one", first)
    expect_plan(run.hosts["two"], refused)
    run.prepare("two", partial(plan_and_apply, refused))
    good = partial(Prepared, Plan("dns", ()), lambda notify: None)
    expect_plan(run.hosts["three"], good)
    run.prepare("three", partial(plan_and_apply, good))
    with caplog.at_level(logging.ERROR):
        run.execute()
    assert logged == [""]
    assert run.state.failed_hosts == {run.hosts["two"]}
    assert "the key is refused" in caplog.text
    assert run.reads.count("two") == 1, "an API that does not answer is not waited for twice"


def observing(host: Host, watch: Watch, into: list[HostReport]) -> Generator[PyinfraCommand, None, None]:
    into.append(observe(host, watch))
    yield from ()


def test_the_report_of_a_host_serves_all_operations_and_those_that_need_a_part_of_it(run: Run) -> None:
    host = run.hosts["one"]
    connector = fake(host, [HEADER, "probe\tp\t0\t", TRAILER])
    part = Watch(paths=("/a",))
    whole = part | Watch(probes=(("p", "true"),))
    found: list[HostReport] = []
    expect(host, whole)
    run.prepare("one", partial(observing, host, whole, found))
    run.prepare("one", partial(observing, host, part, found))
    run.execute()
    assert ["p" in report.probes for report in found] == [True, True]
    assert len(connector.executed_commands) == 1


def test_a_host_that_cannot_be_read_fails_in_its_turn(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    host = run.hosts["two"]
    fake(host, {"success": False, "stderr": "no shell"})
    seen: list[tuple[bool, str]] = []

    def first() -> Generator[PyinfraCommand, None, None]:
        yield from run.ask("one")
        gevent.sleep(0)
        seen.append((host in run.state.failed_hosts, caplog.text))

    ahead.announce(run.hosts["one"], "question", partial(run.read, "one"))
    run.prepare("one", first)
    expect(host, Watch())
    run.prepare("two", partial(observing, host, Watch(), []))
    with caplog.at_level(logging.ERROR):
        run.execute()
    assert seen == [(False, "")]
    assert run.state.failed_hosts == {host}
    assert "the host's state cannot be read" in caplog.text
    assert "no shell" in caplog.text
