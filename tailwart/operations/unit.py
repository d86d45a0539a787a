"""systemd units of our own: enabled, and running the very command line that is desired."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from functools import partial

from pyinfra.api.command import FunctionCommand
from pyinfra.api.operation import operation
from pyinfra.context import ctx_host

from tailwart.errors import TailwartError
from tailwart.facts.host import observe
from tailwart.hosts.units import Unit
from tailwart.hosts.watch import Watch
from tailwart.operations.remote import command
from tailwart.runner import Runner


@operation()
def running(unit: Unit, watch: Watch) -> Generator[FunctionCommand, None, None]:
    """``unit`` is enabled and its present version runs; its file was put there before."""
    host = ctx_host.get()
    if unit.runs(observe(host, watch)):
        host.noop(f"{unit.name} runs")
        return
    yield command(host, partial(_start, unit=unit), f"start {unit.name}")


def _start(run: Runner, unit: Unit) -> None:
    name = shlex.quote(unit.name)
    result = run(
        f"systemctl daemon-reload && systemctl enable {name} && systemctl restart {name} && systemctl is-active {name}",
        timeout=120,
    )
    if not result.ok:
        raise TailwartError(
            f"{unit.name} does not run",
            seen=(result.stderr or result.stdout).strip()[-500:],
            expected="an active unit",
            remedy=f"look at `systemctl status {unit.name}` on the host, then run again",
        )
