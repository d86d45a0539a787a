"""The command `tailwart remove`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import click

from tailwart.backends.postgres import name as quoted
from tailwart.connectors.shell import SshRunner
from tailwart.connectors.turn import plane_turn
from tailwart.dns import overrides
from tailwart.dns.plane import Plane, combined, plane_of
from tailwart.dns.zoneplan import ZonePlan
from tailwart.environment import Edge, Environment, SshTarget, load, selected_path
from tailwart.environment.editing import edited, values, write
from tailwart.environment.load import edge_key
from tailwart.errors import TailwartError
from tailwart.plan import render
from tailwart.printing import say
from tailwart.providers.definition import Provider
from tailwart.removal import hosts
from tailwart.removal.zone import removal
from tailwart.tailnet import session

Edit = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Part:
    """One step of a removal: what it takes away, and how; ``edit`` is that of `.env` afterwards."""

    title: str
    lines: tuple[str, ...]
    carry_out: Callable[[], None]
    edit: Edit = field(default_factory=dict)


def remove(role: str, *, with_data: bool, dry: bool, yes: bool) -> None:
    """Show what goes, ask, and remove it. Raises `TailwartError` for a role that is not there."""
    environment = load().environment
    parts = list(_parts(environment, role, with_data=with_data))
    for part in parts:
        say(f"{part.title}:")
        for line in part.lines:
            say(f"  {line}")
    if dry:
        say(f"Nothing was removed. Next: tailwart remove {role}")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise TailwartError("nothing was removed", seen="no terminal to ask at", remedy="add --yes")
        if with_data:
            typed = click.prompt(f"The data is gone for good. Type {environment.domain} to remove it", err=True)
            if typed != environment.domain:
                raise TailwartError("nothing was removed", seen=typed, expected=environment.domain)
        else:
            click.confirm("Remove this?", abort=True, err=True)
    path = selected_path()
    for part in parts:
        part.carry_out()
        if part.edit:
            write(path, edited(path.read_text(encoding="utf-8"), part.edit))
        say(f"{part.title}: removed")
    say(f"{role} is removed. Next: pyinfra inventory.py deploy.py --dry --diff shows what the others still know of it")


def _parts(environment: Environment, role: str, *, with_data: bool) -> Iterator[Part]:
    edges = [edge for edge in environment.edges if role in ("edge", edge.name)]
    if edges:
        yield from _edges(environment, edges)
    elif role == "mailbox" and environment.mailbox_ssh is not None:
        opened = partial(SshRunner, environment, environment.mailbox_ssh)
        yield _host("mailbox", opened, hosts.MAILBOX, {"MAILBOX_SSH": None}, with_data=with_data)
    elif role == "backends" and environment.backends_ssh is not None:
        yield _backends(environment, environment.backends_ssh, with_data=with_data)
    elif role == "tailnet":
        yield _policy(environment)
    elif role == "dns" and environment.dns_provider != "none":
        yield _zone(environment, environment, everything=True)
    else:
        known = [*(edge.name for edge in environment.edges), "edge", "mailbox", "backends", "tailnet", "dns"]
        raise TailwartError(
            f"{role} is no role of this installation",
            expected=", ".join(known),
            remedy="tailwart env check names the roles that .env configures",
        )


def _edges(environment: Environment, edges: list[Edge]) -> Iterator[Part]:
    left = tuple(edge for edge in environment.edges if edge not in edges)
    after = environment.model_copy(update={"edges": left})
    # The addresses first: nobody shall be led to an edge that is gone.
    if environment.dns_provider != "none":
        yield _zone(environment, after)
    text = values(selected_path().read_text(encoding="utf-8"))
    remaining = list(environment.edges)
    for edge in edges:
        remaining.remove(edge)
        prefix = edge_key(edge.name, "")
        edit: dict[str, str | None] = {key: None for key in text if key.startswith(prefix) and _of_edge(key, prefix)}
        edit["EDGES"] = ",".join(one.name for one in remaining) or None
        yield _host(edge.name, partial(SshRunner, environment, edge.ssh), hosts.EDGE, edit)


def _of_edge(key: str, prefix: str) -> bool:
    return key.removeprefix(prefix).lower() in Edge.model_fields


def _host(
    name: str, opened: Callable[[], SshRunner], role: hosts.HostRole, edit: Edit, *, with_data: bool = False
) -> Part:
    with opened() as run:
        items, data = hosts.found(run, role), hosts.data(run, role)
    kept = role.kept if with_data else (*data, *role.kept)
    goes = [*items, *(data if with_data else ())]

    def carry_out() -> None:
        with opened() as run:
            hosts.remove(run, role, with_data=with_data)

    return Part(name, tuple(hosts.lines(goes, kept)), carry_out, edit)


def _backends(environment: Environment, target: SshTarget, *, with_data: bool) -> Part:
    database, role = environment.stalwart_db_name, environment.stalwart_db_user
    names = (f"database {database}", f"role {role}")
    if not with_data:
        return Part("backends", (*(f"  stays: {name}, which holds the data (--data)" for name in names),), _nothing)

    def carry_out() -> None:
        sql = f"DROP DATABASE IF EXISTS {quoted(database)} WITH (FORCE);\nDROP ROLE IF EXISTS {quoted(role)};\n"
        with SshRunner(environment, target) as run:
            done = run(
                "su postgres -c 'psql --no-psqlrc --quiet --set ON_ERROR_STOP=1'; code=$?; "
                "rm -rf /var/lib/tailwart; [ $code = 0 ]",
                stdin=sql,
            )
        if not done.ok:
            raise TailwartError(
                "the database cannot be removed",
                seen=done.stderr.strip()[-300:],
                expected="a role that owns nothing but this database",
                remedy="look at PostgreSQL on the host of BACKENDS_SSH",
            )

    return Part("backends", tuple(f"- {name}" for name in names), carry_out, {"BACKENDS_SSH": None})


def _nothing() -> None:
    """There is nothing to remove."""


def _policy(environment: Environment) -> Part:
    pushed = session.push(environment, remove=True)
    planned = pushed.prepare()
    if planned.refusal is not None:
        raise planned.refusal

    def carry_out() -> None:
        with plane_turn("tailnet", environment.domain):
            pushed.apply(log=lambda line: say(line, err=True))

    return Part("@plane/tailnet", tuple(render(planned.plan).splitlines()), carry_out)


def _zone(environment: Environment, after: Environment, *, everything: bool = False) -> Part:
    with _opened(after) as (plane, provider):
        found = plane.plans(provider) if not everything else _removals(plane, provider)
        shown = render(replace(combined(found.values()), unmanaged=(), warnings=()))

    def carry_out() -> None:
        with plane_turn("dns", environment.domain), _opened(after) as (plane, provider):
            found = plane.plans(provider) if not everything else _removals(plane, provider)
            plane.apply(plane.guard(found, allow_deletions=True).values(), provider, lambda line: say(line, err=True))

    edit: Edit = {"DNS_PROVIDER": "none"} if everything else {}
    return Part("@plane/dns", tuple(shown.splitlines()), carry_out, edit)


def _removals(plane: Plane, provider: Provider) -> dict[str, ZonePlan]:
    desired = plane.desired()
    return {zone: removal(desired[zone], provider.read(zone), plane.archive.ledger(zone)) for zone in plane.zones}


@contextmanager
def _opened(environment: Environment) -> Iterator[tuple[Plane, Provider]]:
    runner = SshRunner(environment, environment.mailbox_ssh) if environment.mailbox_ssh else None
    try:
        plane = plane_of(environment, overrides.load(), runner)
        yield plane, plane.open_provider(lambda line: say(line, err=True))
    finally:
        if runner is not None:
            runner.close()
