"""The commands of `tailwart store`."""

from __future__ import annotations

import shlex
from typing import Any

import click

from tailwart.environment import Environment, load
from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.mailbox.datastore import place
from tailwart.mailbox.project import compose_project
from tailwart.mailbox.render import ROCKSDB_PATH, store_config_text
from tailwart.operations import hostfiles
from tailwart.operations.compose import bring_up
from tailwart.operations.remote import HostRunner
from tailwart.printing import say
from tailwart.stalwart.accounts.directory import Entry, entries
from tailwart.stalwart.lifecycle import second_server, version
from tailwart.stalwart.lifecycle.store_move import Plan, StoreMove, check
from tailwart.stalwart.mailbox_host import mailbox_host
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, stored_login
from tailwart.stalwart.protocol.jmap import SINGLETON, Call
from tailwart.stalwart.protocol.kinds import KINDS
from tailwart.stalwart.protocol.values import TYPE

_VOLUME = f"{names.PROJECT}_stalwart-data"


def move(*, yes: bool) -> None:
    """Plan, ask, move, and compare the accounts. Raises TailwartError where no safe way is known, or a step fails."""
    environment = load().environment
    with mailbox_host(environment, changes=True) as run:
        plan = _plan(run, environment)
        check(plan, environment.stalwart_importer_image)
        say(plan.message())
        if not yes:
            click.confirm("Move?", abort=True, err=True)
        before = _accounts(run)
        project = compose_project(environment)

        def switch() -> None:
            hostfiles.write(run, project.files, project.directories)
            bring_up(run, project)

        StoreMove(
            run,
            plan,
            environment.stalwart_importer_image,
            project.files,
            empty=lambda: _empty(run, environment),
            wipe=lambda: _wipe(run, environment),
            switch=switch,
            log=lambda text: say(text, err=True),
        ).execute()
        _compare(before, _accounts(run))
    say("Moved. Next: pyinfra inventory.py deploy.py, which then has only the settings of the other stores to change")


def _plan(run: HostRunner, environment: Environment) -> Plan:
    done = run(f"cat {names.CONFIG}", timeout=60)
    if not done.ok:
        raise TailwartError(
            "there is no mailbox to move yet",
            seen=f"no {names.CONFIG} on the mailbox host",
            remedy="pyinfra inventory.py deploy.py",
        )
    image = run(f"docker inspect --format '{{{{.Config.Image}}}}' {names.CONTAINER}", timeout=60).stdout.strip()
    return Plan(
        place(done.stdout),
        place(store_config_text(environment)),
        version.running(run, image),
        bodies=_bodies_inside(run),
    )


def _client(run: HostRunner) -> Client:
    return Client(ContainerTransport(run, stored_login(names.DIRECTORY), base=names.BASE))


def _running(run: HostRunner) -> bool:
    shown = run(f"docker inspect --format '{{{{.State.Running}}}}' {names.CONTAINER}", timeout=60)
    return shown.stdout.strip() == "true"


def _bodies_inside(run: HostRunner) -> bool:
    """Whether message bodies are in the data store; of a server that an interrupted move has stopped, all are taken."""
    if not _running(run):
        return True
    (answer,) = _client(run).call([Call("BlobStore", "get", {"ids": [SINGLETON]})])
    return all(found.get(TYPE) == "Default" for found in answer.objects)


def _accounts(run: HostRunner) -> list[Entry]:
    """Every account with its size; none of a server that an interrupted move has stopped."""
    return entries(_client(run).read([KINDS["Account"].read()])) if _running(run) else []


def _compare(before: list[Entry], after: list[Entry]) -> None:
    sizes = {entry.address: entry.used_bytes for entry in after}
    lost = [entry.address for entry in before if sizes.get(entry.address) != entry.used_bytes]
    if lost:
        raise TailwartError(
            "accounts have another size on the new store than they had on the old one",
            seen=", ".join(lost),
            expected="the same bytes of mail; mail that has come in since the change makes an account larger",
            remedy="`tailwart account list` shows the sizes now; the old store is kept",
        )
    as_before = "as before" if before else "which an interrupted move had not written down"
    say(f"{len(after)} accounts, {sum(sizes.values())} bytes of mail, {as_before}", err=True)


_TABLES = "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'public'"
_DROP = """DO $$ DECLARE found record; BEGIN
FOR found IN SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = 'public' LOOP
EXECUTE format('DROP TABLE public.%I CASCADE', found.tablename); END LOOP; END $$"""


def _empty(run: HostRunner, environment: Environment) -> bool:
    if environment.stalwart_store == "postgres":
        return not _sql(run, environment, _TABLES)[0][0]
    return not _embedded(run, f"ls -A {ROCKSDB_PATH} 2>/dev/null || :").strip()


def _sql(run: HostRunner, environment: Environment, statement: str) -> list[list[Any]]:
    open_session = second_server.sessions(run.host)
    if open_session is None:
        raise TailwartError("the mailbox host is not reached over SSH", remedy="set MAILBOX_SSH")
    return second_server.rows(open_session, environment, statement)


def _wipe(run: HostRunner, environment: Environment) -> None:
    if environment.stalwart_store == "postgres":
        _sql(run, environment, _DROP)
    else:
        _embedded(run, f"rm -rf {ROCKSDB_PATH}")


def _embedded(run: HostRunner, script: str) -> str:
    """A shell in the mailbox's volume, whether the server runs or not."""
    image = f"$(docker inspect --format '{{{{.Config.Image}}}}' {names.CONTAINER})"
    mount = f"--volume {_VOLUME}:/var/lib/stalwart"
    done = run(
        f'docker run --rm --network none --entrypoint sh {mount} "{image}" -c {shlex.quote(script)}', timeout=300
    )
    if not done.ok:
        raise TailwartError("the mailbox's volume cannot be read", seen=done.stderr.strip()[-300:])
    return done.stdout
