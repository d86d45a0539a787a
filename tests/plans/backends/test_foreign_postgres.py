"""A PostgreSQL that others run, as superuser by URL, by peer login, and managed: a real server, in a namespace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailwart.backends.login import Endpoint
from tailwart.backends.operations import Database, ensure
from tailwart.backends.postgres import Desired
from tailwart.errors import TailwartError
from tests.contract.namespace import Namespace, namespace
from tests.contract.postgres import postgres
from tests.contract.server import SECRETS
from tests.plans.backends.inside import Inside

SUPERUSER = SECRETS["STALWART_DB_PASSWORD"]
PASSWORD = "the mailbox's own password"
ENDPOINT = Endpoint("127.0.0.1", 5432, "mail", "mail", PASSWORD)
DESIRED = Desired("mail", "mail", PASSWORD)


class Host(Inside):
    """The backends host: the namespace in which that server listens."""

    def __init__(self, space: Namespace, sockets: Path) -> None:
        super().__init__(space, {"PATH": os.environ["PATH"], "PGHOST": str(sockets)})

    def sql(self, text: str, database: str = "postgres") -> str:
        """As the superuser, past what is tested."""
        done = self(f"exec su postgres -s /bin/sh -c 'cd / && exec psql -XAtq {database}'", stdin=text, timeout=60)
        assert done.ok, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def server() -> Iterator[Host]:
    with namespace() as space, postgres(space, "postgres", "theirs") as sockets:
        yield Host(space, sockets)


@pytest.fixture
def host(server: Host) -> Iterator[Host]:
    """The server with what is somebody else's on it, and nothing of ours."""
    server.scripts.clear()
    yield server
    server.sql("DROP DATABASE IF EXISTS mail")
    server.sql("DROP ROLE IF EXISTS mail")


def by_url(user: str = "postgres", password: str = SUPERUSER) -> Database:
    return Database(DESIRED, ENDPOINT, f"postgresql://{user}:{password}@127.0.0.1:5432/postgres")


def others(host: Host) -> str:
    """Everything on the server that is not ours."""
    return host.sql(
        "SELECT rolname, rolpassword FROM pg_authid WHERE rolname NOT IN ('mail', 'keeper') ORDER BY 1; "
        "SELECT datname, datdba, datacl FROM pg_database WHERE datname <> 'mail' ORDER BY 1"
    )


@pytest.mark.parametrize("database", [by_url(), Database(DESIRED, ENDPOINT)], ids=["superuser's URL", "peer"])
def test_role_and_database_are_made_and_drift_is_repaired(host: Host, database: Database) -> None:
    before = others(host)
    ensure(host, database)
    assert host.sql("SELECT rolcanlogin, rolsuper, rolcreatedb FROM pg_roles WHERE rolname = 'mail'") == "t|f|f"
    assert host.sql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'mail'") == "mail"
    assert host.sql("SELECT has_database_privilege('public', 'mail', 'CONNECT')") == "f"
    verifier = host.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'mail'")
    ensure(host, database)
    assert host.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'mail'") == verifier, "nothing to do"
    host.sql("ALTER ROLE mail PASSWORD 'drifted' CREATEDB")
    ensure(host, database)
    assert host.sql("SELECT rolcreatedb FROM pg_roles WHERE rolname = 'mail'") == "f"
    assert others(host) == before
    assert not any(PASSWORD in script or SUPERUSER in script for script in host.scripts)


@pytest.fixture
def keeper(host: Host) -> Iterator[str]:
    """The login that a provider of managed servers hands out: it makes roles and databases, and is no superuser."""
    host.sql("CREATE ROLE keeper LOGIN CREATEROLE CREATEDB PASSWORD 'keeping'")
    yield "keeper"
    host.sql("DROP DATABASE IF EXISTS mail")
    host.sql("DROP OWNED BY keeper CASCADE; DROP ROLE IF EXISTS mail; DROP ROLE keeper")


def test_a_managed_server_has_no_superuser_to_give(host: Host, keeper: str) -> None:
    managed = by_url(keeper, "keeping")
    ensure(host, managed)
    assert host.sql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'mail'") == "mail"
    verifier = host.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'mail'")
    assert verifier.startswith("SCRAM-SHA-256$")
    ensure(host, managed)
    assert host.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'mail'") == verifier, "nothing to do"
    host.sql("ALTER ROLE mail PASSWORD 'drifted'")
    ensure(host, managed)
    assert host.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'mail'") != verifier


def test_a_wrong_superuser_and_a_foreign_database_stop_with_the_reason(host: Host) -> None:
    with pytest.raises(TailwartError, match="could not read role and database") as caught:
        ensure(host, by_url(password="wrong-one"))
    assert "password authentication failed" in caught.value.seen
    assert "wrong-one" not in str(caught.value)
    host.sql("CREATE DATABASE mail")
    with pytest.raises(TailwartError, match="belongs to another role"):
        ensure(host, by_url())
    assert host.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'mail'") == "0"
