"""What a host has to say for itself: shown in the run, changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import UTC, datetime

from pyinfra import logger
from pyinfra.api.command import PyinfraCommand
from pyinfra.context import ctx_host

from tailwart.facts.host import observe
from tailwart.hosts.report import HostReport
from tailwart.hosts.watch import Watch
from tailwart.operations.guard import operation


@operation()
def tell(lines: Callable[[HostReport, datetime], list[str]], watch: Watch) -> Generator[PyinfraCommand, None, None]:
    """Show the ``lines`` that the host's report gives at this time; ``watch`` is the role's, and costs no command."""
    host = ctx_host.get()
    found = lines(observe(host, watch), datetime.now(UTC))
    for line in found:
        host.log(f"! {line}", log_func=logger.warning)
    host.noop(f"{len(found)} things to tell")
    yield from ()
