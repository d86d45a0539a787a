"""The one fact of a role on an SSH host, and how long its answer is valid.

pyinfra 3.10 keeps no facts: every ``host.get_fact`` is a remote command. `observe` keeps one answer per host and drops
it as soon as anything may have changed: when the stage changes from planning to executing, when any operation on any
host has executed a command, and when an operation asks for it (`forget`) between two of its own commands. A runbook
that says `expect` has its host asked together with all others (`tailwart.facts.ahead`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from weakref import WeakKeyDictionary

from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import FactProcessError
from pyinfra.api.facts import FactBase
from pyinfra.api.host import Host

from tailwart.connectors.arguments import connector_arguments
from tailwart.connectors.ssh import CONNECTION_ERRORS
from tailwart.facts import ahead
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
    epoch: ahead.Epoch
    report: HostReport


_kept: WeakKeyDictionary[Host, _Kept] = WeakKeyDictionary()


def expect(host: Host, watch: Watch) -> None:
    """The role's operations will `observe` the host with this ``watch``."""
    ahead.announce(host, watch, partial(_read, host, watch))


def observe(host: Host, watch: Watch) -> HostReport:
    """The host's report, read again unless nothing at all was executed since the last reading."""
    epoch = ahead.epoch(host.state)
    kept = _kept.get(host)
    if kept is not None and kept.watch.covers(watch) and kept.epoch == epoch:
        return kept.report
    report: HostReport = ahead.answer(host, watch, partial(host.get_fact, HostFact, watch=watch))
    _kept[host] = _Kept(watch, epoch, report)
    return report


def forget(host: Host) -> None:
    """Drop what is known of the host; called before and after every command that changes something."""
    _kept.pop(host, None)
    ahead.drop(host.state)


def _read(host: Host, watch: Watch) -> HostReport:
    """The report without pyinfra's handling of failed facts, which fails the host at once: that is for its own turn."""
    try:
        ok, output = host.run_shell_command(
            StringCommand(script(watch)),
            print_output=host.state.print_fact_output,
            print_input=host.state.print_fact_input,
            **connector_arguments(host),
        )
        if ok:
            return parse(output.stdout_lines)
    except (*CONNECTION_ERRORS, ReportError) as problem:
        raise ahead.Unanswered from problem
    raise ahead.Unanswered
