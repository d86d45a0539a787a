"""Commands on a host while an operation executes, and their failures in the operator's terms."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial

from pyinfra.api.command import FunctionCommand, QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from tailwart.connectors.arguments import connector_arguments
from tailwart.connectors.host import ConnectionLost
from tailwart.errors import TailwartError
from tailwart.facts import turns
from tailwart.facts.host import forget
from tailwart.hosts.report import HostReport, ReportError, parse
from tailwart.hosts.watch import Watch, script
from tailwart.operations.guard import as_tailwart_error
from tailwart.operations.progress import fail
from tailwart.runner import Completed, Runner


class HostRunner:
    """`Runner` over pyinfra's connection, with the privileges (`_sudo` and the like) of the operation or of the run."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._arguments = connector_arguments(host)

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        arguments = {**self._arguments, "_timeout": timeout}
        if stdin:
            arguments["_stdin"] = stdin
        try:
            ok, output = self.host.run_shell_command(
                StringCommand("sh", "-c", QuoteString(script)),
                print_output=False,
                print_input=self.host.state.print_input,
                **arguments,
            )
        except ConnectionLost as error:
            raise as_tailwart_error(error) from error
        return Completed(ok, output.stdout, output.stderr)


def command(host: Host, work: Callable[[Runner], None], doing: str) -> FunctionCommand:
    """One yieldable step of an operation: runs ``work``, reports a `TailwartError` as the operation's failure.

    The host's cached facts are dropped before and after. ``doing`` names the step in a plan (`--debug-operations`), so
    it holds no secret.
    """
    return FunctionCommand(_Step(doing, partial(_perform, HostRunner(host), work)), (), {})


def gather(run: Runner, watch: Watch, lock: str = "") -> HostReport:
    """Facts in the middle of an operation, which has changed the host since they were last cached.

    With the path of a ``lock``, the facts wait until nobody else changes what that lock protects. Raises
    `TailwartError` when the answer is incomplete.
    """
    facts = script(watch)
    result = run(f"flock -w 300 {lock} sh -c {shlex.quote(facts)}" if lock else facts, timeout=420)
    try:
        return parse(result.stdout.splitlines())
    except ReportError as problem:
        raise TailwartError(
            "the host's answer is incomplete",
            seen="\n".join([str(problem), *result.stderr.strip().splitlines()[-3:]]),
            expected="a POSIX shell with coreutils" + (f", and {lock} free within 300 s" if lock else ""),
            remedy="log in on the host and look at its load and disk space, then run again",
        ) from None


class _Step:
    """The function pyinfra calls. Its bound runner and data stay out of any representation, they may hold secrets."""

    def __init__(self, doing: str, function: Callable[[State, Host], bool]) -> None:
        self.__name__ = doing
        self._function = function

    def __call__(self, state: State, host: Host) -> bool:
        return self._function(state, host)


def _perform(runner: Runner, work: Callable[[Runner], None], state: State, host: Host) -> bool:
    del state
    forget(host)
    try:
        turns.check(host, changing=True)
        work(runner)
    # Whatever it is: it is this host's failure, and pyinfra would print a traceback.
    except Exception as problem:
        fail(host, as_tailwart_error(problem))
        return False
    finally:
        forget(host)
    return True
