"""systemd units of our own: enabled, and running the very command line that is wanted."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial

from pyinfra.api.command import FunctionCommand
from pyinfra.api.operation import operation
from pyinfra.context import ctx_host

from tailwart.errors import TailwartError
from tailwart.facts.host import Watch, observe
from tailwart.facts.report import HostReport
from tailwart.operations.remote import Runner, command


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit and the command line of its main process.

    A word of the line that changes with the program's content makes a running older version show, whatever became of
    the run that was to restart it.
    """

    name: str
    line: tuple[str, ...]

    @property
    def probe(self) -> tuple[str, str]:
        """The role's `Watch` needs this probe for `running`."""
        show = f"systemctl show {self.name} --value -p"
        command_line = f'tr "\\0" " " <"/proc/$({show} MainPID)/cmdline" 2>/dev/null'
        return f"unit {self.name}", f'[ "$({show} UnitFileState)" = enabled ] && {command_line}'

    def runs(self, report: HostReport) -> bool:
        """Whether it is enabled and runs this command line."""
        probe = report.probes.get(self.probe[0])
        said = "" if probe is None else probe.output.decode(errors="replace").strip()
        return said == " ".join(self.line)


@operation()
def running(unit: Unit, look: Watch) -> Generator[FunctionCommand, None, None]:
    """``unit`` is enabled and its present version runs; its file was put there before."""
    host = ctx_host.get()
    if unit.runs(observe(host, look)):
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
