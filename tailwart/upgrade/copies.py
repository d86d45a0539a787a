"""A copy of the data before another version opens it, and the way back to that copy.

Within 0.16.x every version opens the store of every other (docs/upgrade.md), so the way back seldom needs the copy: it
is put back only where the earlier version does not come up on the store. What the newer version has written is then
kept beside it, and named: mail that it had accepted is in there.

The embedded store is copied while the server is stopped; the database by `pg_dump` beside the running server, on the
stores' host, where the deploy reaches that. Message bodies in S3 are not touched by an upgrade and are not copied.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from tailwart.backends.postgres import literal
from tailwart.backends.postgres import name as quoted_name
from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.runner import Runner

VOLUME = f"{names.PROJECT}_stalwart-data"
DUMP = "/var/lib/tailwart/before-upgrade.dump"
EMBEDDED, DATABASE, SET = "embedded", "database", "set"
"""Kinds of a copy: a directory beside the store, a dump on the stores' host, a set of `tailwart backup`."""

_STORE = f'v=$(docker volume inspect --format \'{{{{.Mountpoint}}}}\' {VOLUME}) && d=$(dirname "$v") && [ -d "$v" ]'


@dataclass(frozen=True, slots=True)
class Database:
    """The database, and the runner on the host where its server is."""

    run: Callable[[], Runner]
    name: str
    owner: str


def copy_embedded(run: Runner) -> None:
    """Copy the embedded store; the server must be stopped. Raises `TailwartError`, with nothing changed."""
    script = f"""{_STORE} || exit 1
need=$(du -sk "$v" | cut -f 1); free=$(df -Pk "$d" | awk 'NR == 2 {{ print $4 }}')
[ "$free" -gt $((need + 65536)) ] || {{ echo "$((need / 1024)) MiB to copy, $((free / 1024)) MiB free" >&2; exit 1; }}
rm -rf "$d/before-upgrade.part" && cp -a --reflink=auto "$v" "$d/before-upgrade.part" && sync &&
rm -rf "$d/before-upgrade" && mv "$d/before-upgrade.part" "$d/before-upgrade"
"""
    done = run(script, timeout=3600)
    if not done.ok:
        raise TailwartError(
            "the store cannot be copied before the upgrade; the version from before goes on",
            seen=done.stderr.strip()[-500:] or "no output",
            expected="as much free space on the mailbox host as the store takes",
            remedy="make room below /var/lib/docker, then run this again",
        )


def restore_embedded(run: Runner, stamp: str) -> str:
    """Put the copy back, the store of now beside it; the server must be stopped. Returns where that is."""
    done = run(
        f'{_STORE} && [ -d "$d/before-upgrade" ] && mv "$v" "$d/failed-{stamp}" && '
        f'cp -a --reflink=auto "$d/before-upgrade" "$v" && sync && echo "$d/failed-{stamp}"',
        timeout=3600,
    )
    if not done.ok:
        raise _not_restored(f"{VOLUME} on the mailbox host", done.stderr)
    return f"{done.stdout.strip()} on the mailbox host"


def copy_database(database: Database) -> None:
    """Dump the database on its host, in the custom format; raises `TailwartError`."""
    folder = DUMP.rpartition("/")[0]
    name = shlex.quote(database.name)
    done = database.run()(
        f"set -eu; umask 077; mkdir -p -m 0755 {folder}; "
        f"su postgres -c {shlex.quote(f'pg_dump --format custom {name}')} >{DUMP}.part; sync {DUMP}.part; "
        f"pg_restore --list {DUMP}.part >/dev/null; mv -f {DUMP}.part {DUMP}",
        timeout=3600,
    )
    if not done.ok:
        raise TailwartError(
            f"the database {database.name} cannot be dumped before the upgrade; nothing has been changed",
            seen=done.stderr.strip()[-500:] or "no output",
            expected=f"PostgreSQL on the host of BACKENDS_SSH, and room for {DUMP}",
            remedy="look at the disk and at PostgreSQL's log there, then run this again",
        )


def restore_database(database: Database, stamp: str) -> str:
    """Put the dump back, the database of now under another name; returns that name. Raises `TailwartError`."""
    kept = f"{database.name}_failed_{stamp}"
    statements = (
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {literal(database.name)}",  # noqa: S608 - quoted by `literal`
        f"ALTER DATABASE {quoted_name(database.name)} RENAME TO {quoted_name(kept)}",
        f"CREATE DATABASE {quoted_name(database.name)} OWNER {quoted_name(database.owner)} "
        "TEMPLATE template0 ENCODING 'UTF8'",
    )
    done = database.run()(
        "set -eu; su postgres -c 'psql --no-psqlrc --quiet --set ON_ERROR_STOP=1' >/dev/null; "
        f"cat {DUMP} | su postgres -c {shlex.quote(f'pg_restore --dbname {shlex.quote(database.name)}')}",
        stdin="".join(f"{statement};\n" for statement in statements),
        timeout=3600,
    )
    if not done.ok:
        raise _not_restored(f"{DUMP} on the stores' host", done.stderr)
    return f"the database {kept} on the stores' host"


def _not_restored(where: str, said: str) -> TailwartError:
    return TailwartError(
        "the copy from before the upgrade cannot be put back",
        seen=said.strip()[-500:] or "no output",
        expected=f"the copy: {where}",
        remedy="nothing has been removed: put the copy back by hand, or restore a backup; then deploy again",
    )
