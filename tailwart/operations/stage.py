"""A barrier between roles."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.operation import operation


@operation(is_idempotent=True)
def stage_done(role: str) -> Generator[PyinfraCommand, None, None]:
    """Every host waits here until the role is finished everywhere. Changes nothing, costs no round trip.

    A host that failed has left the run and is not waited for.
    """
    host.noop(f"{role} finished")
    yield from ()
