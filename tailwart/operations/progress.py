"""What an operation tells the operator while it plans and while it runs."""

from __future__ import annotations

from pyinfra import logger
from pyinfra.api.host import Host

from tailwart.errors import TailwartError
from tailwart.report import detail, note


def announce(host: Host, text: str) -> None:
    """Say why an operation changes something: when it executes, and in a plan with details (--diff)."""
    detail(host, text)
    if host.state.is_executing or host.state.config.DIFF:
        host.log(text)


def fail(host: Host, problem: TailwartError) -> None:
    """Say why an operation failed, here and again on the last lines of the run."""
    note(host, problem)
    for line in str(problem).splitlines():
        host.log_styled(line, fg="red", log_func=logger.error)
