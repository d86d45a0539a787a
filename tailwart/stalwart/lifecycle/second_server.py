"""A guard against a second server on one data store: it corrupts orders, limits and bans (lesson 16).

Postgres is asked through the sidecar, the way Stalwart itself goes, so that the operator's machine need not reach it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pyinfra.api.host import Host
from pyinfra.connectors.ssh import SSHConnector

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle.notes import HostNotes

QUIET = 75
"""Seconds without a query after which a connection is nobody's: a running server asks its store every minute."""
_PAUSE = 5.0

# A dead sidecar's connections stay until the keepalive ends them, under their last address. A running server queries
# its store at least every minute, so only addresses with a query since this server started count as alive.
_QUERY = """
select coalesce(host(client_addr), 'local'), count(*),
       extract(epoch from now() - max(greatest(state_change, backend_start)))::int
from pg_stat_activity
where usename = :user and datname = :name and pid <> pg_backend_pid() and application_name <> :probe
group by 1 order by 1
"""


@dataclass(frozen=True, slots=True)
class Client:
    """One address connected as Stalwart's role; `idle_seconds` since its last query."""

    address: str
    connections: int
    idle_seconds: int


class _Stream:
    """A command's input and output on the host, in the shape of a socket."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def makefile(self, mode: str) -> Any:
        """paramiko takes the mode by position only; pg8000 names it, as for a socket."""
        return self._channel.makefile(mode)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)


def clients(host: Host, environment: Environment) -> list[Client]:
    """The addresses connected with Stalwart's role; raises TailwartError when the store cannot be asked."""
    open_session = sessions(host)
    return ask(open_session, environment) if open_session is not None else []


def sessions(host: Host) -> Callable[[], Any] | None:
    """What opens a channel of this host's SSH connection; None where it has none."""
    connector = host.connector
    if not isinstance(connector, SSHConnector) or connector.client is None:
        return None
    transport = connector.client.get_transport()
    return transport.open_session if transport is not None else None


def ask(open_session: Callable[[], Any], environment: Environment) -> list[Client]:
    """The same over channels of an SSH connection to the mailbox host."""
    values = {
        "user": environment.stalwart_db_user,
        "name": environment.stalwart_db_name,
        "probe": names.PROBE_APPLICATION,
    }
    found = rows(open_session, environment, _QUERY, **values)
    return [Client(str(address), int(count), int(idle or 0)) for address, count, idle in found]


def rows(open_session: Callable[[], Any], environment: Environment, statement: str, **values: str) -> list[list[Any]]:
    """What a statement returns, run with Stalwart's role through the sidecar; raises TailwartError when it fails."""
    import pg8000.native  # noqa: PLC0415 - asked only before a write; most runs write nothing

    target = f"{shlex.quote(str(environment.stalwart_db_host))} {environment.stalwart_db_port}"
    channel = open_session()
    channel.settimeout(30)
    channel.exec_command(f"docker exec -i {names.SIDECAR} nc {target}")
    password = environment.stalwart_db_password
    try:
        connection = pg8000.native.Connection(
            environment.stalwart_db_user,
            database=environment.stalwart_db_name,
            password=password.get_secret_value() if password else None,
            sock=_Stream(channel),
            # The tailnet encrypts already, and TLS cannot wrap this stream: it is not a socket.
            ssl_context=False,
        )
        found: list[list[Any]] = connection.run(statement, **values) or []
        connection.close()
    except (pg8000.native.InterfaceError, pg8000.native.DatabaseError, OSError) as problem:
        raise TailwartError(
            "Postgres does not answer Stalwart's role",
            seen=_reason(problem),
            expected=f"{environment.stalwart_db_host}:{environment.stalwart_db_port} to answer the sidecar",
            remedy="check STALWART_DB_HOST, STALWART_DB_USER and STALWART_DB_PASSWORD in .env",
        ) from None
    finally:
        channel.close()
    return found


def check(host: Host, environment: Environment, notes: HostNotes) -> None:
    """Raises TailwartError when another live server uses the store; embedded stores have no second user."""
    if environment.stalwart_store != "postgres" or not notes.running:
        return
    _, output = host.run_shell_command(own_addresses(notes), print_output=False, print_input=False)
    refuse_second_server(others(clients(host, environment), *parse_own(output.stdout)))


def own_addresses(notes: HostNotes) -> str:
    """A shell command that prints the server's own addresses, and how many seconds ago it started."""
    return (
        f"docker exec {names.SIDECAR} sh -c 'tailscale ip; hostname -i' 2>/dev/null; echo since "
        f"$(($(date +%s) - $(date -d {shlex.quote(notes.started_at)} +%s)))"
    )


def parse_own(stdout: str) -> tuple[frozenset[str], int]:
    """What `own_addresses` printed, as `others` takes it."""
    words, _, age = stdout.partition("since ")
    return frozenset(words.split()), int(age.strip() or 0)


def others(found: Sequence[Client], own: frozenset[str], started_seconds_ago: int) -> list[Client]:
    """The clients that have queried the store since this server started, except the server's own addresses."""
    return [item for item in found if item.address not in own and item.idle_seconds < started_seconds_ago]


def refuse_live(
    sample: Callable[[], list[Client]], own: frozenset[str], pause: Callable[[float], None], log: Callable[[str], None]
) -> None:
    """Raises TailwartError when a server is at work on the store, before one of ours has ever started.

    A dead host's connections are silent; who asks anything while this waits is alive.
    """
    known = {item.address: item for item in sample() if item.address not in own}
    if any(item.idle_seconds < QUIET for item in known.values()):
        log(
            f"somebody was connected to the store a moment ago: waiting up to {QUIET} s to see whether that is a server"
        )
    while any(item.idle_seconds < QUIET for item in known.values()):
        pause(_PAUSE)
        found = [item for item in sample() if item.address not in own]
        # A silent connection's age has grown by the whole pause.
        asked = [
            item
            for item in found
            if item.address not in known or item.idle_seconds < known[item.address].idle_seconds + _PAUSE - 2
        ]
        refuse_second_server(asked)
        known = {item.address: item for item in found}


def addresses(run: Runner) -> frozenset[str]:
    """The sidecar's own addresses, by which the store knows this host."""
    said = run(f"docker exec {names.SIDECAR} sh -c 'tailscale ip; hostname -i' 2>/dev/null", timeout=60)
    return frozenset(said.stdout.split())


def refuse_second_server(found: Sequence[Client]) -> None:
    """Raises TailwartError naming the other servers."""
    if found:
        raise TailwartError(
            "another Stalwart uses the same store",
            seen=", ".join(f"{item.address} ({item.connections} connections)" for item in found),
            expected="exactly one live client address of the role in pg_stat_activity",
            remedy="stop the other server, or give this one a database of its own (STALWART_DB_NAME)",
            lesson=16,
        )


def _reason(problem: BaseException) -> str:
    detail = problem.args[0] if problem.args else problem
    return str(detail.get("M", detail) if isinstance(detail, dict) else detail)[:200] or type(problem).__name__
