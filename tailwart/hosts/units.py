"""systemd units of a host as they should be."""

from __future__ import annotations

from dataclasses import dataclass

from tailwart.hosts.report import HostReport


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
