"""The commands of `tailwart store`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
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
from tailwart.plan.model import Action
from tailwart.printing import say
from tailwart.stalwart.accounts.directory import Entry, entries
from tailwart.stalwart.lifecycle import second_server, version
from tailwart.stalwart.lifecycle.bodies_move import BodiesMove, BodiesPlan
from tailwart.stalwart.lifecycle.bodies_move import check as check_bodies
from tailwart.stalwart.lifecycle.one_off import OneOff
from tailwart.stalwart.lifecycle.store_move import Plan, StoreMove, check
from tailwart.stalwart.mailbox_host import mailbox_host
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, stored_login
from tailwart.stalwart.protocol.jmap import SINGLETON, Call
from tailwart.stalwart.protocol.kinds import KINDS
from tailwart.stalwart.protocol.values import TYPE, Ref
from tailwart.stalwart.settings import compat
from tailwart.stalwart.settings.declaration import from_environment
from tailwart.stalwart.settings.desired import desired
from tailwart.stalwart.settings.planning import ObjectChange
from tailwart.stalwart.settings.stores import probe_s3

_VOLUME = f"{names.PROJECT}_stalwart-data"


def move(*, yes: bool) -> None:
    """Plan, ask, move, and compare the accounts. Raises TailwartError where no safe way is known, or a step fails."""
    environment = load().environment
    importer = environment.stalwart_importer_image
    with mailbox_host(environment, changes=True) as run:
        data, bodies = _plan(run, environment), _bodies_plan(run, environment)
        if data.source != data.target or not bodies:
            check(data, importer)
        if bodies:
            _check_order(data, bodies)
            check_bodies(bodies, importer, _free(run))
        for step in _steps(data, bodies):
            say(step.message())
        if not yes:
            click.confirm("Move?", abort=True, err=True)
        before = _accounts(run)
        for step in _steps(data, bodies):
            _move(run, environment, step)
        _compare(before, _accounts(run))
    say("Moved. Next: pyinfra inventory.py deploy.py, which then has only the settings of the other stores to change")


def _steps(data: Plan, bodies: BodiesPlan | None) -> list[Plan | BodiesPlan]:
    steps: list[Plan | BodiesPlan] = [data] if data.source != data.target else []
    return [*steps, bodies] if bodies else steps


def _move(run: HostRunner, environment: Environment, plan: Plan | BodiesPlan) -> None:
    project = compose_project(environment)
    importer = environment.stalwart_importer_image

    def switch() -> None:
        hostfiles.write(run, project.files, project.directories)
        bring_up(run, project)

    def log(text: str) -> None:
        say(text, err=True)

    if isinstance(plan, BodiesPlan):

        def probe(shell: str) -> None:
            if store := from_environment(environment).s3:
                probe_s3(run, store, shell)

        BodiesMove(run, plan, importer, project.files, probe, switch, log).execute()
        return
    StoreMove(
        run,
        plan,
        importer,
        project.files,
        empty=lambda: _empty(run, environment),
        wipe=lambda: _wipe(run, environment),
        switch=switch,
        log=log,
    ).execute()


def _plan(run: HostRunner, environment: Environment) -> Plan:
    done = run(f"cat {names.CONFIG}", timeout=60)
    if not done.ok:
        raise TailwartError(
            "there is no mailbox to move yet",
            seen=f"no {names.CONFIG} on the mailbox host",
            remedy="pyinfra inventory.py deploy.py",
        )
    return Plan(
        place(done.stdout),
        place(store_config_text(environment)),
        _version(run),
        bodies=_bodies_inside(run),
    )


def _version(run: HostRunner) -> str:
    image = run(f"docker inspect --format '{{{{.Config.Image}}}}' {names.CONTAINER}", timeout=60).stdout.strip()
    return version.running(run, image)


def _bodies_plan(run: HostRunner, environment: Environment) -> BodiesPlan | None:
    """The move of message bodies; None where they are in their place already."""
    noted = OneOff(run, environment.stalwart_importer_image).state()
    running = _running(run)
    if "before" in noted and (names.MOVE_SWITCHED in noted or not running):
        # A move that died has noted where they were: the settings may name the new place already.
        before: Mapping[str, Any] = json.loads(noted["before"])
    elif running:
        (answer,) = _client(run).call([Call("BlobStore", "get", {"ids": [SINGLETON]})])
        before = next(iter(answer.objects), {TYPE: "Default"})
    else:
        return None
    release = _version(run)
    (wanted,) = (item for item in desired(from_environment(environment)) if item.kind == "BlobStore")
    change = ObjectChange(Action.UPDATE, Ref("BlobStore", SINGLETON), SINGLETON, wanted.fields)
    (adapted,) = compat.adapted([change], None, release)
    plan = BodiesPlan(before, adapted.values, release, sum(entry.used_bytes for entry in _accounts(run)))
    if names.MOVE_SWITCHED in noted and noted.get("target") != plan.target:
        raise TailwartError(
            "an earlier move of message bodies was interrupted, and has to end first",
            seen=f"it was to {noted.get('target')}; .env now says {plan.target}",
            expected="the place to which some bodies have come already",
            remedy=f"set S3_… in .env to {noted.get('target')}, run `tailwart store move`, and then move on from there",
        )
    return plan if plan.source != plan.target else None


def _check_order(data: Plan, bodies: BodiesPlan) -> None:
    if data.source != data.target and bodies.before.get(TYPE) == "S3":
        raise TailwartError(
            "two moves at once, of the data store and of message bodies out of a bucket",
            seen=f"{data.source.name} → {data.target.name}, and {bodies.source} → {bodies.target}",
            expected="one after the other, the bodies first: the new store's files have no key of the bucket",
            remedy="put STALWART_STORE and STALWART_DB_… in .env back, move bodies, deploy; then move the data store",
        )


def _free(run: HostRunner) -> int:
    done = run(f"df --output=avail -B1 {names.DIRECTORY} | tail -n 1", timeout=60)
    return int(done.stdout.strip() or 0) if done.ok else 0


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
