"""A role's runbook as one stage of the run: no role stops another, and every host waits for the end of each."""

from __future__ import annotations

from collections.abc import Callable, Generator

from pyinfra import host
from pyinfra.api.command import PyinfraCommand

from tailwart.operations.guard import as_tailwart_error, failure, operation


def role(name: str, deploy: Callable[[], None]) -> None:
    """Prepare the operations of a runbook. One that cannot be prepared fails on its host, and nothing else fails."""
    try:
        deploy()
    except Exception as error:
        role_not_prepared(name=f"{name}: the runbook", error=error)


@operation()
def role_not_prepared(error: Exception) -> Generator[PyinfraCommand, None, None]:
    """Fails with the ``error`` of a runbook."""
    yield failure(as_tailwart_error(error))


@operation()
def stage_done(role: str) -> Generator[PyinfraCommand, None, None]:
    """Every host waits here until the role is finished everywhere. Changes nothing, costs no round trip.

    A host that failed has left the run and is not waited for.
    """
    host.noop(f"{role} finished")
    yield from ()
