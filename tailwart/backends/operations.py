"""Operations on the stores' host."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

from pyinfra.api.command import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.context import ctx_host

from tailwart.backends.postgres import Current, Desired, Step, parse, plan, query
from tailwart.errors import TailwartError
from tailwart.facts import ahead
from tailwart.operations.guard import operation
from tailwart.operations.progress import announce
from tailwart.operations.remote import HostRunner, command
from tailwart.runner import Completed, Runner

# Peer authentication as the server's own user: no password, and no connection over loopback, where pg_hba often trusts
# everybody.
_PSQL = (
    "command -v psql >/dev/null || { echo 'no psql on this host' >&2; exit 3; }; "
    "exec su postgres -s /bin/sh -c 'cd / && exec psql -X -A -t -q -v ON_ERROR_STOP=1 postgres'"
)


def expect(host: Host, desired: Desired) -> None:
    """`role_and_database` will ask Postgres."""
    ahead.announce(host, desired, lambda: _current(HostRunner(host), desired))


@operation()
def role_and_database(desired: Desired) -> Generator[FunctionCommand, None, None]:
    """``desired`` exists on this host's own Postgres; a drifted password is set again (an update, never a new role)."""
    host = ctx_host.get()
    try:
        current = ahead.answer(host, desired, lambda: _current(HostRunner(host), desired))
        steps = plan(desired, current)
        reasons = [step.description for step in steps]
    except TailwartError as problem:
        # A plan only announces it: the operation fails when it executes.
        reasons = [problem.what]
    if not reasons:
        host.noop(f"role {desired.role} and database {desired.database} are up to date")
        return
    announce(host, "; ".join(reasons))
    yield command(host, partial(_ensure, desired=desired), "role and database")


def _ensure(run: Runner, desired: Desired) -> None:
    for step in _missing(run, desired):
        _checked(run(_PSQL, stdin=step.sql, timeout=120), step.description)
    if left := _missing(run, desired):
        raise TailwartError(
            "Postgres accepted the statements, and role or database still differ",
            seen="; ".join(step.description for step in left),
            expected=f"role {desired.role} and database {desired.database}",
            remedy="look at the server's log on the Postgres host, then run again",
        )


def _missing(run: Runner, desired: Desired) -> list[Step]:
    return plan(desired, _current(run, desired))


def _current(run: Runner, desired: Desired) -> Current:
    result = _checked(run(_PSQL, stdin=query(desired), timeout=60), "read role and database")
    return parse(result.stdout.splitlines())


def _checked(result: Completed, doing: str) -> Completed:
    if result.ok:
        return result
    # The server repeats a statement in its error only from LINE on, where the verifier would show.
    messages = [line for line in result.stderr.splitlines() if line.strip() and not line.startswith(("LINE", " "))]
    raise TailwartError(
        f"Postgres on the backends host: could not {doing}",
        seen="\n".join(messages[-4:]) or "no output",
        expected="a running Postgres that lets its own user postgres in without a password (peer)",
        remedy="start Postgres (`systemctl start postgresql`), or leave BACKENDS_SSH empty and create the role and the "
        "database yourself; then run again",
    )
