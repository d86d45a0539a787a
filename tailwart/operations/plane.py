"""What the operations of all API planes have in common: read and diff in the body, write in one command, fail one host.

A failed read is a command that fails (`tailwart.operations.guard`), and so the failure of its host alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

from pyinfra import host, state
from pyinfra.api.command import FunctionCommand, PyinfraCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_host

from tailwart.errors import TailwartError
from tailwart.facts import ahead, turns
from tailwart.operations.guard import as_tailwart_error, failure
from tailwart.operations.progress import fail
from tailwart.plan.model import Plan
from tailwart.plan.terminal import render
from tailwart.report import detail


@dataclass(frozen=True, slots=True)
class Prepared:
    """One plane's plan and how to carry it out.

    ``apply`` gets a function for progress lines and raises `TailwartError`. ``diff`` is shown with `--diff` and must
    not hold secrets. A ``refusal`` is shown after the plan, and fails the host without an apply.
    """

    plan: Plan
    apply: Callable[[Callable[[str], None]], None]
    diff: str = ""
    refusal: TailwartError | None = None


_PLAN = "the plan of the plane"


def expect_plan(host: Host, prepare: Callable[[], Prepared]) -> None:
    """The host's plane will be planned by ``prepare``, of which `plan_and_apply` gets the same."""
    ahead.announce(host, _PLAN, prepare)


def plan_and_apply(prepare: Callable[[], Prepared]) -> Generator[PyinfraCommand, None, None]:
    """The body of a plane's operation: `yield from plan_and_apply(lambda: …)`.

    ``prepare`` reads and plans, and must not write: pyinfra calls it for the plan and again for the run. A plan without
    changes is a noop, so that a second run reports none.
    """
    try:
        prepared = ahead.answer(ctx_host.get(), _PLAN, prepare)
    # Whatever goes wrong here must stay this host's failure.
    except Exception as error:
        yield failure(as_tailwart_error(error))
        return
    _show(prepared)
    if prepared.refusal is not None:
        yield failure(prepared.refusal)
    elif prepared.plan:
        detail(host, *render(replace(prepared.plan, unmanaged=(), warnings=())).splitlines())
        yield _apply(prepared)
    else:
        host.noop(f"{prepared.plan.plane}: up to date")


def _apply(prepared: Prepared) -> FunctionCommand:
    # A closure, because a command's arguments end in debug output.
    def apply(state: State, host: Host) -> bool:  # noqa: ARG001  # pyinfra passes both by these names
        try:
            turns.check(host, changing=True)
            prepared.apply(host.log)
        except Exception as error:
            fail(host, as_tailwart_error(error))
            return False
        return True

    return FunctionCommand(apply, (), {})


def _show(prepared: Prepared) -> None:
    if state.is_executing and state.should_check_for_changes():
        return  # shown before the prompt
    if prepared.plan or prepared.plan.warnings:
        for line in render(prepared.plan, colour=True).splitlines():
            host.log(line)
    if state.config.DIFF:
        for line in prepared.diff.splitlines():
            host.log(line)
