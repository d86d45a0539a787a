"""Whatever is raised stays the failure of its host: the others finish, and no traceback is shown."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import click
import pytest
from pyinfra.api.command import FunctionCommand, PyinfraCommand
from pyinfra.api.config import Config
from pyinfra.api.connect import connect_all
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.operations import run_ops
from pyinfra.api.state import State, StateStage
from pyinfra.context import ctx_host, ctx_state

from tailwart import report
from tailwart.connectors.host import ConnectionLost
from tailwart.errors import TailwartError
from tailwart.operations import stage
from tailwart.operations.guard import operation
from tailwart.operations.remote import command
from tailwart.runner import Runner

RAISED = [
    TailwartError("serverUnavailable", remedy="wait"),
    TimeoutError("no end after 5 s"),
    ConnectionLost("no sign of life for 40 s"),
    KeyError("secret-that-must-not-show"),
    OSError(28, "No space left on device"),
]


class _Run:
    def __init__(self, state: State, done: list[str]) -> None:
        self.state, self.done = state, done

    def deploy(self, failing: Callable[[], None], healthy: Callable[[], None]) -> None:
        """One runbook that may fail, and another host's after it."""
        for name, runbook in (("sick", failing), ("well", healthy)):
            host = self.host(name)
            with ctx_host.use(host):
                for role in ("sick", "well"):
                    if role == name:
                        stage.role(role, runbook)
                    stage.stage_done(name=f"{role} finished", role=role)

    def host(self, name: str) -> Host:
        return self.state.inventory.get_host(f"@fake/{name}")

    def execute(self) -> None:
        self.state.set_stage(StateStage.Execute)
        run_ops(self.state)


@pytest.fixture(params=[False, True], ids=["yes", "planned"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Run]:
    """Two fake hosts, as under `pyinfra -y` and as with a plan first."""
    monkeypatch.setattr(report, "_notes", {})
    data = {"fake_delay": 0, "fake_delay_jitter": 0}
    inventory = Inventory(([(f"@fake/{name}", data) for name in ("sick", "well")], {}))
    state = State(inventory, Config(), check_for_changes=request.param)
    state.set_stage(StateStage.Connect)
    with ctx_state.use(state):
        connect_all(state)
        state.set_stage(StateStage.Prepare)
        yield _Run(state, [])


def told(run: _Run, capsys: pytest.CaptureFixture[str]) -> str:
    """The last lines of the run."""
    report._finish(run.state, ())
    return click.unstyle(capsys.readouterr().err)


def body(work: Callable[[], None]) -> Callable[[], None]:
    """A runbook of one operation whose body does ``work``."""

    @operation()
    def perform() -> Generator[PyinfraCommand, None, None]:
        work()
        yield from ()

    def runbook() -> None:
        perform(name="Read and diff")

    return runbook


def step(work: Callable[[], None]) -> Callable[[], None]:
    """A runbook of one operation that does ``work`` on the host."""

    @operation()
    def perform() -> Generator[FunctionCommand, None, None]:
        def on_host(run: Runner) -> None:
            work()

        host = ctx_host.get()
        yield command(host, on_host, "work")

    def runbook() -> None:
        perform(name="Read and diff")

    return runbook


def raising(error: Exception) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", [body, step, lambda work: work], ids=["body", "step", "runbook"])
def test_one_failing_host_stops_no_other(
    run: _Run,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    where: Callable[[Callable[[], None]], Callable[[], None]],
) -> None:
    with caplog.at_level(logging.INFO):
        run.deploy(where(raising(error)), step(lambda: run.done.append("well")))
        run.execute()
    last = told(run, capsys)
    assert run.done == ["well"]
    assert run.state.failed_hosts == {run.host("sick")}
    assert "Failed: @fake/sick: " in last
    assert "remedy:" in last
    assert (getattr(error, "what", None) or error.args[-1]) in last or isinstance(error, KeyError)
    assert "Traceback" not in last + caplog.text
    assert "secret-that-must-not-show" not in last + caplog.text


def test_what_failed_in_the_plan_and_succeeds_in_the_run_has_not_failed(
    run: _Run, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        if not run.state.is_executing:
            raise TailwartError("the container is restarting")
        run.done.append("sick")

    run.deploy(body(work), lambda: None)
    if run.state.check_for_changes:
        assert run.state.failed_hosts == {run.host("sick")}, "a dry run ends with exit code 1"
        last = told(run, capsys)
        assert "Failed: @fake/sick: Read and diff" in last
        assert "the container is restarting" in last
    run.execute()
    assert run.done == ["sick"]
    assert not run.state.failed_hosts
    assert told(run, capsys) == ""


def test_every_operation_of_the_deploy_is_guarded() -> None:
    sources = {path: path.read_text() for path in Path("tailwart").rglob("*.py")}
    assert len(sources) > 100, "run from the root of the project"
    unguarded = {path.name for path, text in sources.items() if "pyinfra.api.operation import" in text}
    assert unguarded == {"guard.py"}
