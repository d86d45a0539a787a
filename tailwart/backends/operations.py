"""Operations on the stores' host."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import unquote, urlsplit

from pyinfra.api.command import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.context import ctx_host

from tailwart.backends import login
from tailwart.backends.login import Attempts, Endpoint, problem, trusting
from tailwart.backends.postgres import Current, Desired, Step, parse, plan, query
from tailwart.errors import TailwartError
from tailwart.facts import ahead
from tailwart.operations.guard import operation
from tailwart.operations.progress import announce
from tailwart.operations.remote import HostRunner, command
from tailwart.runner import Completed, Runner

_NEEDED = "command -v psql >/dev/null || { echo 'no psql on this host' >&2; exit 3; }; "
_OPTIONS = "-X -A -t -q -w -v ON_ERROR_STOP=1"
# Peer authentication as the server's own user: no password, and no connection over loopback, where pg_hba often trusts
# everybody.
_PEER = f"{_NEEDED}exec su postgres -s /bin/sh -c 'cd / && exec psql {_OPTIONS} postgres'"


@dataclass(frozen=True, slots=True)
class Database:
    """The role and database, where the mailbox finds them, and the URL of a superuser where there is no peer login."""

    desired: Desired
    endpoint: Endpoint
    superuser: str = field(default="", repr=False)

    def sql(self, run: Runner, text: str, timeout: float) -> Completed:
        """Run statements as the superuser."""
        if not self.superuser:
            return run(_PEER, stdin=text, timeout=timeout)
        url = urlsplit(self.superuser)
        names = {"PGHOST": url.hostname, "PGPORT": url.port, "PGUSER": unquote(url.username or "")}
        names |= {"PGDATABASE": url.path.strip("/"), "PGCONNECT_TIMEOUT": 15}
        exports = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in names.items())
        script = f"{_NEEDED}IFS= read -r PGPASSWORD; export PGPASSWORD {exports}; exec psql {_OPTIONS}"
        return run(script, stdin=f"{unquote(url.password or '')}\n{text}", timeout=timeout)


@dataclass(frozen=True, slots=True)
class Found:
    """What the server has, and how logins over the tailnet ended."""

    current: Current
    attempts: Attempts

    def steps(self, desired: Desired) -> list[Step]:
        """What is still to be done."""
        return plan(desired, self.current, refused=login.refused(self.attempts))


def expect(host: Host, database: Database) -> None:
    """`role_and_database` will ask Postgres."""
    ahead.announce(host, database, lambda: read(HostRunner(host), database))


@operation()
def role_and_database(database: Database) -> Generator[FunctionCommand, None, None]:
    """Role and database exist; a drifted password is set again (an update, never a new role), and proven over the
    tailnet.
    """
    host = ctx_host.get()
    desired = database.desired
    try:
        found = ahead.answer(host, database, lambda: read(HostRunner(host), database))
        reasons = [step.description for step in found.steps(desired)]
        if not reasons and (seen := problem(database.endpoint, found.attempts, found.current.settings)):
            reasons = [seen.what]
        if warning := trusting(database.endpoint, found.current.trusted):
            announce(host, warning)
    except TailwartError as error:
        # A plan only announces it: the operation fails when it executes.
        reasons = [error.what]
    if not reasons:
        host.noop(f"role {desired.role} and database {desired.database} are up to date")
        return
    announce(host, "; ".join(reasons))
    yield command(host, partial(ensure, database=database), "role and database")


def ensure(run: Runner, database: Database) -> None:
    """Make what is missing, and prove the password where the mailbox uses it; raises `TailwartError`."""
    desired = database.desired
    for step in read(run, database).steps(desired):
        _checked(database.sql(run, step.sql, 120), step.description)
    found = read(run, database)
    if seen := problem(database.endpoint, found.attempts, found.current.settings):
        raise seen
    if left := found.steps(desired):
        raise TailwartError(
            "Postgres accepted the statements, and role or database still differ",
            seen="; ".join(step.description for step in left),
            expected=f"role {desired.role} and database {desired.database}",
            remedy="look at the server's log on the Postgres host, then run again",
        )


def read(run: Runner, database: Database) -> Found:
    """Ask the server, and log in over the tailnet; changes nothing. Raises `TailwartError`."""
    tried = run(login.script(database.endpoint), stdin=f"{database.endpoint.password}\n", timeout=60)
    return Found(_current(run, database), login.parse(tried.stdout))


def _current(run: Runner, database: Database) -> Current:
    return parse(_checked(database.sql(run, query(database.desired), 60), "read role and database").stdout.splitlines())


def _checked(result: Completed, doing: str) -> Completed:
    if result.ok:
        return result
    # The server repeats a statement in its error only from LINE on, where the verifier would show.
    messages = [line for line in result.stderr.splitlines() if line.strip() and not line.startswith(("LINE", " "))]
    raise TailwartError(
        f"Postgres on the backends host: could not {doing}",
        seen="\n".join(messages[-4:]) or "no output",
        expected="a running Postgres that lets its own user postgres in without a password, or POSTGRES_ADMIN_URL",
        remedy="start Postgres (`systemctl start postgresql`); where it runs elsewhere, set POSTGRES_ADMIN_URL and "
        "install postgresql-client here; or leave BACKENDS_SSH empty and create role and database yourself",
    )
