"""The one fact of a role on an SSH host, and how long its answer is valid.

`observe` keeps one answer per host and drops
it as soon as anything may have changed: when the stage changes from planning to executing, when any operation on any
host has executed a command, and when an operation asks for it (`forget`) between two of its own commands. A runbook
that says `expect` has its host asked together with all others (`tailwart.facts.ahead`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from weakref import WeakKeyDictionary

from pyinfra.api.command import StringCommand
from pyinfra.api.host import Host

from tailwart.connectors.arguments import connector_arguments
from tailwart.errors import TailwartError
from tailwart.facts import ahead
from tailwart.hosts.report import HostReport, ReportError, parse
from tailwart.hosts.watch import Watch, script

_SECONDS = 120


@dataclass(frozen=True, slots=True)
class _Kept:
    watch: Watch
    epoch: ahead.Epoch
    report: HostReport


_kept: WeakKeyDictionary[Host, _Kept] = WeakKeyDictionary()


def expect(host: Host, watch: Watch) -> None:
    """The role's operations will `observe` the host with this ``watch``."""
    ahead.announce(host, watch, partial(read, host, watch))


def observe(host: Host, watch: Watch) -> HostReport:
    """The host's report, read again unless nothing at all was executed since the last reading."""
    epoch = ahead.epoch(host.state)
    kept = _kept.get(host)
    if kept is not None and kept.watch.covers(watch) and kept.epoch == epoch:
        return kept.report
    report: HostReport = ahead.answer(host, watch, partial(read, host, watch))
    _kept[host] = _Kept(watch, epoch, report)
    return report


def forget(host: Host) -> None:
    """Drop what is known of the host; called before and after every command that changes something."""
    _kept.pop(host, None)
    ahead.drop(host.state)


def read(host: Host, watch: Watch) -> HostReport:
    """The host's report, read now; raises `TailwartError` with what the host said instead.

    Not a fact of pyinfra's: one that fails takes its host out of the run without a cause, and waits for ever.
    """
    ok, output = host.run_shell_command(
        StringCommand(script(watch)),
        print_output=host.state.print_fact_output,
        print_input=host.state.print_fact_input,
        **{**connector_arguments(host), "_timeout": _SECONDS},
    )
    problem = "" if ok else "the shell ended with an error"
    try:
        if ok:
            return parse(output.stdout_lines)
    except ReportError as error:
        problem = str(error)
    raise TailwartError(
        "the host's state cannot be read",
        seen="\n".join([problem, *output.stderr_lines[-3:]]),
        expected="root's rights, a POSIX shell and coreutils",
        remedy="log in on the host and look at its load and disk space, then run again",
    )
