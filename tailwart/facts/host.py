"""The one fact of a role on an SSH host, and how long its answer is valid.

pyinfra 3.10 keeps no facts: every ``host.get_fact`` is a remote command. `observe` keeps one answer per host and drops
it as soon as anything may have changed: when the stage changes from planning to executing, when any operation on any
host has executed a command, and when an operation asks for it (`forget`) between two of its own commands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from pyinfra.api.exceptions import FactProcessError
from pyinfra.api.facts import FactBase
from pyinfra.api.host import Host

from tailwart.hosts.report import HostReport, ReportError, parse
from tailwart.hosts.watch import Watch, script


class HostFact(FactBase[HostReport]):
    """Files, engine and Compose project of one role as `HostReport`, in one POSIX shell command.

    Needs nothing on the host but coreutils. Reads digests and modes, content only of the files in ``contents``, and no
    values of a container's environment.
    """

    def command(self, watch: Watch) -> str:
        return script(watch)

    @staticmethod
    def default() -> HostReport:
        return HostReport()

    def process(self, output: Iterable[str]) -> HostReport:
        try:
            return parse(output)
        except ReportError as problem:
            raise FactProcessError(str(problem)) from problem


@dataclass(frozen=True, slots=True)
class _Kept:
    watch: Watch
    epoch: tuple[bool, int]
    report: HostReport


_kept: WeakKeyDictionary[Host, _Kept] = WeakKeyDictionary()


def observe(host: Host, watch: Watch) -> HostReport:
    """The host's report, read again unless nothing at all was executed since the last reading."""
    epoch = _epoch(host)
    kept = _kept.get(host)
    if kept is not None and kept.watch == watch and kept.epoch == epoch:
        return kept.report
    report = host.get_fact(HostFact, watch=watch)
    _kept[host] = _Kept(watch, epoch, report)
    return report


def forget(host: Host) -> None:
    """Drop what is known of the host; called before and after every command that changes something."""
    _kept.pop(host, None)


def _epoch(host: Host) -> tuple[bool, int]:
    # Counted over all hosts: two inventory names may be one machine.
    state = host.state
    executed = sum(data.operation_meta.executed for operations in state.ops.values() for data in operations.values())
    return state.is_executing, executed
