"""The mailbox's role and database: current and desired state, and the SQL between them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tailwart.backends import scram
from tailwart.errors import TailwartError

# What a superuser alone may read is asked by one alone: whoever manages a server for others gives nobody else's rights.
_QUERY = """\
SELECT 'role', rolcanlogin FROM pg_catalog.pg_roles WHERE rolname = {role};
SELECT 'rights' FROM pg_catalog.pg_roles WHERE rolname = {role}
  AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls);
SELECT 'database', pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database WHERE datname = {database};
SELECT 'public' FROM pg_catalog.pg_database WHERE datname = {database}
  AND pg_catalog.has_database_privilege('public', datname, 'CONNECT');
SELECT 'setting', name, setting FROM pg_catalog.pg_settings WHERE name IN ('listen_addresses', 'port');
SELECT rolsuper AS superuser FROM pg_catalog.pg_roles WHERE rolname = current_user \\gset
\\if :superuser
SELECT 'verifier', coalesce(rolpassword, '') FROM pg_catalog.pg_authid WHERE rolname = {role};
SELECT 'trusted', address FROM pg_catalog.pg_hba_file_rules WHERE auth_method = 'trust'
  AND type LIKE 'host%' AND address IS NOT NULL;
\\else
SELECT 'limited';
\\endif
"""


@dataclass(frozen=True, slots=True)
class Desired:
    """The role with its password, and the database it owns."""

    role: str
    database: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Current:
    """What exists on the server; ``None`` for what does not.

    ``rights``: the role may more than log in. ``public``: every role may connect to the database. ``settings`` are
    those that say where the server listens, ``trusted`` the addresses that `pg_hba.conf` lets in without a password.
    ``limited``: the login that asks is no superuser, so that nothing is known of the verifier and of `pg_hba.conf`;
    whether the password is right, a login says.
    """

    can_login: bool | None = None
    verifier: str = field(default="", repr=False)
    owner: str | None = None
    rights: bool = False
    public: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    trusted: tuple[str, ...] = ()
    limited: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One statement, and a description of it without a secret."""

    description: str
    sql: str = field(repr=False)


def query(desired: Desired) -> str:
    """The query whose output `parse` reads, one row per thing that exists."""
    # psql's input takes no parameters; both values are quoted by `literal`.
    return _QUERY.format(role=literal(desired.role), database=literal(desired.database))


def parse(lines: Iterable[str]) -> Current:
    """`Current` from unaligned psql output."""
    rows: dict[str, list[str]] = {}
    for line in lines:
        kind, _, rest = line.partition("|")
        rows.setdefault(kind, []).append(rest)
    return Current(
        rows["role"][0] == "t" if "role" in rows else None,
        next(iter(rows.get("verifier", ())), ""),
        next(iter(rows.get("database", ())), None),
        rights="rights" in rows,
        public="public" in rows,
        settings=dict(row.partition("|")[::2] for row in rows.get("setting", ())),
        trusted=tuple(rows.get("trusted", ())),
        limited="limited" in rows,
    )


def plan(desired: Desired, current: Current, *, refused: bool = False) -> list[Step]:
    """The statements still to run, in order; none when role, password and database are as desired.

    ``refused``: the server has refused the password, which counts where its verifier cannot be read.

    Raises `TailwartError` when the database belongs to somebody else: it is left alone.
    """
    if current.owner is not None and current.owner != desired.role:
        raise TailwartError(
            f"the database {desired.database} belongs to another role and was left alone",
            seen=f"owner {current.owner}",
            expected=f"owner {desired.role} (STALWART_DB_USER)",
            remedy=f"choose another STALWART_DB_NAME, or on the Postgres host as postgres: "
            f"ALTER DATABASE {desired.database} OWNER TO {desired.role}",
        )
    steps = []
    if current.can_login is None:
        steps.append(Step(f"create role {desired.role}", f"CREATE ROLE {name(desired.role)} {_login(desired)};"))
    elif not current.can_login or _another_password(desired, current, refused):
        steps.append(
            Step(
                f"set password and login of role {desired.role}", f"ALTER ROLE {name(desired.role)} {_login(desired)};"
            )
        )
    if current.rights:
        limited = "NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS"
        steps.append(
            Step(f"role {desired.role} may log in and nothing else", f"ALTER ROLE {name(desired.role)} {limited};")
        )
    if current.owner is None and current.limited:
        # Who is no superuser gives a database only to a role that it is a member of.
        steps.append(Step(f"be a member of {desired.role}", f"GRANT {name(desired.role)} TO CURRENT_USER;"))
    if current.owner is None:
        options = f"OWNER {name(desired.role)} TEMPLATE template0 ENCODING 'UTF8'"
        steps.append(
            Step(f"create database {desired.database}", f"CREATE DATABASE {name(desired.database)} {options};")
        )
    if current.owner is None or current.public:
        steps.append(
            Step(
                f"nobody but {desired.role} connects to {desired.database}",
                f"REVOKE ALL ON DATABASE {name(desired.database)} FROM PUBLIC;",
            )
        )
    return steps


def _another_password(desired: Desired, current: Current, refused: bool) -> bool:
    return refused if current.limited else not scram.matches(desired.password, current.verifier)


def literal(value: str) -> str:
    """A string constant of SQL (standard_conforming_strings, the default since PostgreSQL 9.1)."""
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    """A quoted identifier of SQL."""
    return '"' + value.replace('"', '""') + '"'


def _login(desired: Desired) -> str:
    # The verifier, not the password: a server that logs statements would keep the password in its log.
    return f"LOGIN PASSWORD {literal(scram.verifier(desired.password))}"
