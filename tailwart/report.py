"""The last lines of a run: which host failed, in which operation, and what to do about it.

pyinfra prints a failure where it happens, which on a long run is pages above the end.
"""

from __future__ import annotations

import atexit
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click
from pyinfra.api import output
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_state

from tailwart.environment.keys import edge_key
from tailwart.errors import TailwartError
from tailwart.inventory import Role
from tailwart.plan.model import MASK
from tailwart.printing import say, style

_OUTPUT_LINES = 6
_PASSWORD = re.compile(r'("password": )"(?:[^"\\]|\\.)+"')


@dataclass(frozen=True, slots=True)
class Failure:
    """One host that did not finish."""

    host: str
    operation: str
    cause: str


@dataclass(frozen=True, slots=True)
class _Note:
    operation: str | None
    error: TailwartError
    planned: bool


_notes: dict[str, _Note] = {}
_details: dict[str, list[str]] = {}
_before: dict[str, list[str]] = {}


def detail(host: Host, *lines: str) -> None:
    """Keep what an operation does while it executes, for the history; shown to everybody, so without a secret."""
    if host.state.is_executing:
        _details.setdefault(host.name, []).extend(lines)


def before(host: Host, *values: str) -> None:
    """Keep what an operation replaces while it executes, for the way back; one JSON document each, without a secret."""
    if host.state.is_executing:
        _before.setdefault(host.name, []).extend(values)


def replaced(host: Host) -> tuple[str, ...]:
    """What the operations of this run have replaced."""
    return tuple(_before.get(host.name, ()))


def details(host: Host) -> tuple[str, ...]:
    """What the operations of this run did to the host."""
    return tuple(_details.get(host.name, ()))


def note(host: Host, error: TailwartError) -> None:
    """Remember the cause of a host's failing operation for the last lines; operations call it before they fail.

    Of a plan, the first failure counts: the rest may follow from it.
    """
    planned = not host.state.is_executing
    if not planned or host.name not in _notes:
        _notes[host.name] = _Note(host.current_op_hash or host.executing_op_hash, error, planned)


def failed_in_plan(host: Host) -> None:
    """The host's plan is not whole: the run ends with exit code 1, unless the host `recovered` in its execution."""
    host.state.failed_hosts.add(host)


def recovered(host: Host) -> None:
    """The operation that is just executed succeeded; if the plan failed in it, that is over."""
    noted = _notes.get(host.name)
    if noted is not None and noted.planned and noted.operation == host.current_op_hash:
        del _notes[host.name]
        host.state.failed_hosts.discard(host)


def install(roles: tuple[Role, ...]) -> None:
    """Follow the run that is being set up, and print its failures after everything else."""
    if not ctx_state.isset():
        return  # read by the tests or by testinfra: there is no run
    _guard_output()
    state: State = ctx_state.get()
    atexit.register(_finish, state, roles)


def _guard_output() -> None:
    """All that pyinfra prints in this process goes through `say`: command output and file contents are others' text."""

    def echo(message: Any = "", *args: Any, **kwargs: Any) -> None:
        # `debug-inventory` prints the accounts of group_data/mailbox.py.
        say(_PASSWORD.sub(f'\\1"{MASK}"', message) if isinstance(message, str) else message, *args, **kwargs)

    output.set_echo(echo)
    output.set_formatter(style)
    for module in (click, click.termui):
        module.__dict__.update(echo=echo, style=style)


def _finish(state: State, roles: tuple[Role, ...]) -> None:
    if not state.initialised:
        return
    for failure in failures(state):
        say(style(f"\nFailed: {failure.host}: {failure.operation}", fg="red"), err=True)
        say(failure.cause, err=True)
    if not _reached(state):
        absent = "".join(f"\n  {role.name}: {role.absence}" for role in roles if role.absence)
        say(style("\nFailed: no host of the inventory matches --limit; nothing was done", fg="red"), err=True)
        say(f"  roles:    {', '.join(role.name for role in roles if role.hosts)}{absent}", err=True)
        # pyinfra exits with 0 when --limit matches nothing; a script that limits a run to a role must notice it.
        sys.stdout.flush()
        sys.stderr.flush()
        # The exit code is already decided when exit handlers run; only ending the process changes it.
        os._exit(1)


def _reached(state: State) -> bool:
    return len(state.inventory) > 0 and (state.limit_hosts is None or len(state.limit_hosts) > 0)


def failures(state: State) -> Iterator[Failure]:
    """Every host that did not finish, with its cause."""
    for host in sorted(state.failed_hosts, key=lambda host: host.name):
        noted = _notes.get(host.name)
        problem: TailwartError | None = getattr(host.connector, "problem", None)
        if noted is not None:
            yield Failure(host.name, _operation_name(state, noted.operation), str(noted.error))
        elif problem is not None:
            yield Failure(host.name, "connect over SSH", f"{problem}{_setting(host)}")
        else:
            operation = _failed_operation(state, host)
            yield Failure(host.name, _operation_name(state, operation), _output(state, host, operation))


def _failed_operation(state: State, host: Host) -> str | None:
    """The operation that ended the host's run; in a dry run, where none was executed, the last that was prepared."""
    if not state.is_executing:
        return host.op_hash_order[-1] if host.op_hash_order else None
    for op_hash in host.op_hash_order:
        meta = state.get_op_data_for_host(host, op_hash).operation_meta
        if meta.executed and not meta.did_succeed(_raise_if_not_complete=False):
            return op_hash
    return None


def _operation_name(state: State, op_hash: str | None) -> str:
    return ", ".join(sorted(state.get_op_meta(op_hash).names)) if op_hash else "before its first operation"


def _output(state: State, host: Host, op_hash: str | None) -> str:
    """What is known of an operation that gave no reason."""
    if op_hash is None:
        return "  seen:     the lines above name the command"
    meta = state.get_op_data_for_host(host, op_hash).operation_meta
    lines = [line for line in (*meta.stdout_lines, *meta.stderr_lines) if line.strip()]
    tail = "\n".join(f"  seen:     {line}" for line in lines[-_OUTPUT_LINES:])
    return tail or "  seen:     no output; the lines above name the command"


def _setting(host: Host) -> str:
    """Where the address of a host that cannot be reached is set."""
    data = host.data
    key = {"mailbox": "MAILBOX_SSH", "backends": "BACKENDS_SSH"}.get(host.name, edge_key(host.name, "ssh"))
    return f"\n  setting:  {key}={data.get('ssh_user')}@{data.get('ssh_hostname')}:{data.get('ssh_port')}"
