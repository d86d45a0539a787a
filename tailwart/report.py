"""The last lines of a run: which host failed, in which operation, and what to do about it.

pyinfra prints a failure where it happens, which on a long run is pages above the end.
"""

from __future__ import annotations

import atexit
import os
import sys
from dataclasses import dataclass, field

import click
from pyinfra.api.host import Host
from pyinfra.api.state import BaseStateCallback, State
from pyinfra.context import ctx_state

from tailwart.errors import TailwartError
from tailwart.inventory import Role

_OUTPUT_LINES = 6


@dataclass
class Failure:
    """One host that did not finish."""

    host: str
    operation: str
    cause: str


@dataclass
class _Run:
    failures: dict[str, Failure] = field(default_factory=dict)
    notes: dict[str, TailwartError] = field(default_factory=dict)
    operations: dict[str, tuple[Host, str]] = field(default_factory=dict)


_run = _Run()


def note(host: Host, error: TailwartError) -> None:
    """Remember the operator-facing cause of a host's failing operation; our operations call it before they fail."""
    _run.notes[host.name] = error


class _Callback(BaseStateCallback):
    # pyinfra calls these by name with all arguments, used or not.
    @staticmethod
    def host_connect_error(_state: State, host: Host, error: Exception) -> None:
        _run.failures[host.name] = Failure(
            host.name, "connect over SSH", f"{error}\n  remedy:   {_connect_remedy(host)}"
        )

    @staticmethod
    def operation_host_error(
        state: State, host: Host, op_hash: str, _retry_count: int = 0, _max_retries: int = 0
    ) -> None:
        names = ", ".join(sorted(state.get_op_meta(op_hash).names))
        _run.failures[host.name] = Failure(host.name, names, "")
        _run.operations[host.name] = (host, op_hash)


def _connect_remedy(host: Host) -> str:
    data = host.data
    key = {"mailbox": "MAILBOX_SSH", "backends": "BACKENDS_SSH"}.get(
        host.name, f"{host.name.upper().replace('-', '_')}_SSH"
    )
    user_at = f"{data.get('ssh_user')}@{data.get('ssh_hostname')}"
    identity = f" -i {data.get('ssh_key')}" if data.get("ssh_key") else ""
    return f"check {key}, SSH_KEY and SSH_KNOWN_HOSTS; try: ssh{identity} -p {data.get('ssh_port')} {user_at} true"


def install(roles: tuple[Role, ...]) -> None:
    """Follow the run that is being set up, and print its failures after everything else."""
    if not ctx_state.isset():
        return  # read by the tests or by testinfra: there is no run
    state: State = ctx_state.get()
    state.add_callback_handler(_Callback())
    atexit.register(_finish, state, roles)


def _finish(state: State, roles: tuple[Role, ...]) -> None:
    for failure in _failures(state):
        click.secho(f"\nFailed: {failure.host}: {failure.operation}", fg="red", err=True)
        click.echo(failure.cause, err=True)
    if state.initialised and not state.failed_hosts and not _reached(state):
        absent = "".join(f"\n  {role.name}: {role.absence}" for role in roles if role.absence)
        click.secho("\nFailed: no host of the inventory matches --limit; nothing was done", fg="red", err=True)
        click.echo(f"  roles:    {', '.join(role.name for role in roles if role.hosts)}{absent}", err=True)
        # pyinfra takes an unmatched --limit for a success; a script that limits to a role must hear otherwise.
        _exit_with_failure()
    if _run.failures and not state.failed_hosts:
        _exit_with_failure()


def _reached(state: State) -> bool:
    limited = state.limit_hosts
    return bool(state.inventory) and (limited is None or len(limited) > 0)


def _failures(state: State) -> list[Failure]:
    for host_name, (host, op_hash) in _run.operations.items():
        _run.failures[host_name].cause = _cause(state, host, op_hash)
    return list(_run.failures.values())


def _cause(state: State, host: Host, op_hash: str) -> str:
    noted = _run.notes.get(host.name)
    if noted is not None:
        return str(noted)
    meta = state.get_op_data_for_host(host, op_hash).operation_meta
    lines = [line for line in (*meta.stdout_lines, *meta.stderr_lines) if line.strip()]
    tail = "\n".join(f"  seen:     {line}" for line in lines[-_OUTPUT_LINES:])
    return tail or "  seen:     no output; the lines above name the command"


def _exit_with_failure() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    # The exit code is already decided when exit handlers run; only ending the process changes it.
    os._exit(1)
