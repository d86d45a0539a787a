"""A run is recorded when it ends: on each host that it changed, and on the operator's machine.

A run that changes nothing and fails nowhere leaves a note on the operator's machine and nothing else. Nothing here can
make a run fail.
"""

from __future__ import annotations

import atexit
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from weakref import WeakSet

from pyinfra import logger
from pyinfra.api.host import Host
from pyinfra.api.state import BaseStateCallback, State

from tailwart import report
from tailwart.connectors.turn import operator
from tailwart.environment import Environment, selected_path
from tailwart.errors import TailwartError
from tailwart.history import latest, working
from tailwart.history.latest import ON_HOST, Latest
from tailwart.history.record import HOST_LINES, Deploy, HostChanges, bounded, host_line
from tailwart.runner import Runner

COMMAND_VARIABLE = "TAILWART_COMMAND"
"""What the operator has called, where a command of ours started the run."""

_APPEND = f"""
set -eu; umask 077; f={ON_HOST}; mkdir -p -m 0755 {ON_HOST.rpartition("/")[0]}
{{ tail -n {HOST_LINES - 1} $f 2>/dev/null || :; cat; }} >$f.new; sync $f.new; mv -f $f.new $f
"""

_followed: WeakSet[State] = WeakSet()


class Recording(BaseStateCallback):
    """Follows one run of the installation ``environment``."""

    def __init__(self, state: State, environment: Environment) -> None:
        self._state = state
        self._environment = environment
        self._began = datetime.now(UTC)
        self._clock = time.monotonic()
        self._deploy: Deploy | None = None

    # pyinfra calls it with the state first; the connection is still open.
    def host_disconnect(self, state: State, host: Host) -> None:  # type: ignore[override]  # a static method there
        """Leave a line on a host that the run has changed."""
        from tailwart.operations.remote import HostRunner  # noqa: PLC0415 - a run that changes nothing needs none

        if host.name.startswith("@") or not _operations(state, host):
            return
        try:
            line = host_line(self._record(), host.name)
            done = HostRunner(host)(_APPEND, stdin=f"{line}\n", timeout=30)
            problem = "" if done.ok else done.stderr.strip()
        except Exception as error:
            problem = str(error) or type(error).__name__
        if problem:
            logger.warning(f"{host.print_prefix}the deploy is not noted in {ON_HOST}: {problem}")

    def store(self) -> None:
        """Keep the record on this machine."""
        state = self._state
        if not state.initialised or not state.is_executing:
            return
        self._note()
        if not (state.failed_hosts or any(_operations(state, host) for host in state.inventory)):
            return
        from tailwart.history import inputs, rendered  # noqa: PLC0415 - as above
        from tailwart.history.store import Store  # noqa: PLC0415 - as above

        try:
            Store(self._environment.domain).add(
                self._record(), inputs.read(selected_path()), rendered.files(self._environment)
            )
        except Exception as error:
            logger.warning(f"the deploy is not in the history of this machine: {error or type(error).__name__}")

    def _note(self) -> None:
        """Note the code that the hosts are up to date with, also where the run had nothing to change."""
        done = self._state.activated_hosts - self._state.failed_hosts
        here = working.working()
        noted = Latest(here.revision, bool(here.edited), here.tree, datetime.now(UTC))
        try:
            latest.add(self._environment.domain, {host.name: noted for host in done})
        except OSError as error:
            logger.warning(f"the deploy is not noted on this machine: {error.strerror}")

    def _record(self) -> Deploy:
        if self._deploy is None:
            failures = {one.host: f"{one.operation}: {one.cause}" for one in report.failures(self._state)}
            hosts = {}
            for host in self._state.inventory:
                operations, failure = _operations(self._state, host), failures.get(host.name, "")
                if operations or failure:
                    changes = HostChanges(operations, report.details(host), failure, report.replaced(host))
                    hosts[host.name] = bounded(changes)
            command = os.environ.get(COMMAND_VARIABLE) or _command(sys.argv)
            self._deploy = _made(self._environment, command, self._began, self._clock, hosts)
        return self._deploy


@contextmanager
def of_command(environment: Environment, run: Runner, host: str, command: str, what: str) -> Iterator[None]:
    """Record what a command does to one host without a deploy, also when it fails.

    ``command`` is its name in the history, ``what`` the operation. The settings beside the record are those of the last
    good deploy: these have not been deployed. Whatever is wrong with the record is told.
    """
    from tailwart.history.store import Store  # noqa: PLC0415 - a deploy that changes nothing needs none

    began, clock = datetime.now(UTC), time.monotonic()
    failure = ""
    try:
        yield
    except TailwartError as problem:
        failure = problem.what
        raise
    finally:
        changes = bounded(HostChanges((what,), failure=failure))
        deploy = _made(environment, command, began, clock, {host: changes})
        try:
            run(_APPEND, stdin=f"{host_line(deploy, host)}\n", timeout=30)
            store = Store(environment.domain)
            if good := [past for past in store.all() if past.good]:
                store.add(deploy, store.inputs(good[-1]), store.rendered(good[-1]))
        except Exception as error:
            logger.warning(f"this is not in the history of this machine: {error or type(error).__name__}")


def follow(host: Host) -> None:
    """Record the run that is being prepared, told by any of its hosts; each host may say so."""
    environment = host.data.get("environment")
    if host.state in _followed or not isinstance(environment, Environment):
        return
    _followed.add(host.state)
    recording = Recording(host.state, environment)
    host.state.add_callback_handler(recording)
    atexit.register(recording.store)


def _made(
    environment: Environment, command: str, began: datetime, clock: float, hosts: Mapping[str, HostChanges]
) -> Deploy:
    revision, modified = working.checkout()
    return Deploy(
        revision=revision,
        modified=modified,
        who=operator(),
        began=began,
        seconds=round(time.monotonic() - clock),
        command=command,
        stalwart=str(environment.stalwart_image),
        hosts=hosts,
        tree=working.working().tree,
    )


def _operations(state: State, host: Host) -> tuple[str, ...]:
    """Names of the operations that changed the host."""
    if not state.is_executing:
        return ()
    found: list[str] = []
    for op_hash in host.op_hash_order:
        meta = state.get_op_data_for_host(host, op_hash).operation_meta
        if meta.is_complete() and meta.did_change():
            found += sorted(state.get_op_meta(op_hash).names)
    return tuple(found)


def _command(arguments: list[str]) -> str:
    """The words of the command line that say which hosts were meant; any other may hold what is nobody's business."""
    limits = [
        word.removeprefix("--limit=") if word.startswith("--limit=") else following
        for word, following in zip(arguments, [*arguments[1:], ""], strict=True)
        if word == "--limit" or word.startswith("--limit=")
    ]
    return shlex.join(["deploy", *(part for limit in limits for part in ("--limit", limit))])
