"""Operations whose every failure is that of their host alone, told as cause and remedy.

An exception in an operation's body ends pyinfra's whole run with a traceback, healthy hosts of other roles included:
while preparing under `--dry` or at the prompt, while executing under `-y`. So `operation` turns whatever is raised into
a command that fails: only its host leaves the run, with the cause on the last lines, and the exit code is 1, in a dry
run too. What failed in the plan and succeeds in the run that follows has not failed: an operation before it may have
been the cure.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator
from functools import wraps
from typing import ParamSpec

from paramiko import SSHException
from pyinfra import logger, state
from pyinfra.api.command import FunctionCommand, PyinfraCommand
from pyinfra.api.host import Host
from pyinfra.api.operation import PyinfraOperation
from pyinfra.api.operation import operation as pyinfra_operation
from pyinfra.api.state import State
from pyinfra.context import ctx_host

from tailwart.errors import TailwartError, unexpected
from tailwart.operations.progress import fail
from tailwart.report import failed_in_plan, recovered

P = ParamSpec("P")
Body = Callable[P, Generator[PyinfraCommand, None, None]]


def operation() -> Callable[[Body[P]], PyinfraOperation[P]]:
    """pyinfra's own decorator, around a body that lets no exception out."""

    def decorated(body: Body[P]) -> PyinfraOperation[P]:
        @wraps(body)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Generator[PyinfraCommand, None, None]:
            host = ctx_host.get()
            try:
                yield from body(*args, **kwargs)
            except Exception as error:
                yield failure(as_tailwart_error(error))
                return
            if host.state.is_executing:
                recovered(host)

        return pyinfra_operation()(guarded)

    return decorated


def failure(error: TailwartError) -> FunctionCommand:
    """The command that fails the current operation with ``error``."""
    if not state.is_executing:
        host = ctx_host.get()
        # There may be no execution (`--dry`), but the exit code must still say so.
        fail(host, error)
        failed_in_plan(host)
        state.trigger_callbacks("operation_host_error", host, host.current_op_hash, 0, 0)

    def failing(state: State, host: Host) -> bool:  # noqa: ARG001  # pyinfra passes both by these names
        fail(host, error)
        return False

    return FunctionCommand(failing, (), {})


def as_tailwart_error(error: Exception) -> TailwartError:
    """``error`` with cause and remedy; the traceback of one that nobody foresaw goes to the debug log."""
    if isinstance(error, TailwartError):
        return error
    if isinstance(error, TimeoutError):
        return TailwartError(
            "there was no answer in time", seen=str(error), remedy="look at the host's load, run again"
        )
    if isinstance(error, (ConnectionError, SSHException, EOFError)):
        return TailwartError(
            "the connection to the host was lost",
            seen=str(error) or type(error).__name__,
            remedy="check that the host is up, then run again: what was interrupted is finished by the next run",
        )
    logger.debug("".join(traceback.format_exception(error)))
    return unexpected(error, "run again with --debug, and report what it prints")
