"""Whether the role's password is right, tried over the tailnet: what was seen, and what it means. Pure.

Never over loopback, where `pg_hba.conf` often trusts everybody and any password passes. A wrong password is tried as
well: where that passes too, nothing is known of the right one.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from tailwart.errors import TailwartError
from tailwart.mailbox.names import PROBE_APPLICATION
from tailwart.network import TAILNET_V4

_WRONG = "password authentication failed"
# PostgreSQL's client takes all of it from its environment: a password among arguments would show in process lists.
_TRY = """
command -v psql >/dev/null || exit 3
IFS= read -r password
attempt() {
  export PGPASSWORD="$2"
  said=$(psql -X -A -t -q -w -c 'SELECT 1' 2>&1 </dev/null) && code=0 || code=$?
  printf '%s|%s|%s\\n' "$1" "$code" "$(printf %s "$said" | tr '\\n' ' ')"
}
attempt right "$password"; attempt wrong "$password-not"
"""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the mailbox finds its database, and as whom."""

    host: str
    port: int
    database: str
    role: str
    password: str = field(repr=False)

    @property
    def address(self) -> str:
        """For people."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Attempts:
    """Exit code and message of psql with the right password and with a wrong one; None where it was not run."""

    right: tuple[int, str] | None = None
    wrong: tuple[int, str] | None = None


def script(endpoint: Endpoint) -> str:
    """The shell script that tries both; the password is its standard input."""
    variables = {
        "PGHOST": endpoint.host,
        "PGPORT": str(endpoint.port),
        "PGDATABASE": endpoint.database,
        "PGUSER": endpoint.role,
        "PGCONNECT_TIMEOUT": "8",
        "PGAPPNAME": PROBE_APPLICATION,
    }
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    return f"export {exports}\n{_TRY}"


def parse(output: str) -> Attempts:
    """The attempts in the script's output."""
    rows = {name: rest.partition("|") for name, _, rest in (line.partition("|") for line in output.splitlines())}
    found = {name: (int(code), said.strip()) for name, (code, _, said) in rows.items() if code.isdecimal()}
    return Attempts(found.get("right"), found.get("wrong"))


def problem(endpoint: Endpoint, attempts: Attempts, settings: Mapping[str, str]) -> TailwartError | None:
    """What keeps the mailbox out, or makes the proof worthless; None when all is well.

    ``settings`` are the server's own: where it listens.
    """
    if attempts.right is None or attempts.wrong is None:
        return None
    if attempts.right[0] == 0:
        return _trusting(endpoint) if attempts.wrong[0] == 0 else None
    return _refusal(endpoint, attempts.right[1], settings)


def refused(attempts: Attempts) -> bool:
    """Whether the server has refused the right password as a wrong one."""
    return attempts.right is not None and attempts.right[0] != 0 and _WRONG in attempts.right[1].lower()


def trusting(endpoint: Endpoint, trusted: tuple[str, ...]) -> str:
    """A word about addresses that need no password; empty when there are none."""
    if not trusted:
        return ""
    return (
        f"pg_hba.conf trusts {', '.join(trusted)}: from there any password passes, so it was verified over "
        f"{endpoint.address}. To close that door: scram-sha-256 in place of trust"
    )


def _refusal(endpoint: Endpoint, said: str, settings: Mapping[str, str]) -> TailwartError:
    text = said.lower()
    if "could not translate host name" in text or "name or service not known" in text:
        return TailwartError(
            "the backends host cannot resolve the name under which the mailbox looks for PostgreSQL",
            seen=said,
            expected=f"{endpoint.host} to be a node of the tailnet, and this host to be one too",
            remedy="correct STALWART_DB_HOST, or join the host to the tailnet",
        )
    if "no pg_hba.conf entry" in text:
        return TailwartError(
            "PostgreSQL lets nobody of the tailnet in: pg_hba.conf has no line for it",
            seen=said,
            expected="a line for the tailnet with scram-sha-256",
            remedy=f"add to pg_hba.conf: `host {endpoint.database} {endpoint.role} {TAILNET_V4} scram-sha-256`, then "
            "`SELECT pg_reload_conf()`",
        )
    if "connection refused" in text or "timeout expired" in text or "timed out" in text:
        return _unreachable(endpoint, said, settings)
    if _WRONG in text:
        return TailwartError(
            f"the server at {endpoint.address} refuses the password that this host's PostgreSQL has just been given",
            seen=said,
            expected="one and the same server",
            remedy="correct STALWART_DB_HOST and STALWART_DB_PORT: another PostgreSQL answers there; or BACKENDS_SSH",
        )
    return TailwartError(
        f"PostgreSQL at {endpoint.address} does not let the mailbox's role in",
        seen=said,
        remedy="look at the server's log on the Postgres host",
    )


def _unreachable(endpoint: Endpoint, said: str, settings: Mapping[str, str]) -> TailwartError:
    port, listens = settings.get("port", ""), settings.get("listen_addresses", "")
    if port and port != str(endpoint.port):
        return TailwartError(
            "PostgreSQL listens on another port than .env says",
            seen=f"port {port}; at {endpoint.address}: {said}",
            expected=f"port {endpoint.port} (STALWART_DB_PORT)",
            remedy=f"STALWART_DB_PORT={port}, or `port = {endpoint.port}` in postgresql.conf and a restart",
        )
    return TailwartError(
        "PostgreSQL does not answer on the tailnet",
        seen=f"{said}" + (f"; it listens on: {listens or 'its Unix socket alone'}" if "port" in settings else ""),
        expected=f"an answer at {endpoint.address}",
        remedy="listen_addresses = '*' (or with the host's tailnet address) in postgresql.conf and a restart; and no "
        "packet filter on tailscale0",
    )


def _trusting(endpoint: Endpoint) -> TailwartError:
    return TailwartError(
        "PostgreSQL takes any password from the tailnet: pg_hba.conf trusts it",
        seen=f"a wrong password was accepted at {endpoint.address}",
        expected="scram-sha-256 for the tailnet",
        remedy=f"replace trust by scram-sha-256 in the lines of pg_hba.conf that match {TAILNET_V4} (0.0.0.0/0 does), "
        "then `SELECT pg_reload_conf()`",
    )
