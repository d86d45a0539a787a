"""The command `tailwart upgrade --stores`."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial

import click

from tailwart.backends import login, packages
from tailwart.backends import operations as postgres
from tailwart.backends import plan as backends_plan
from tailwart.cli.commands.progress import shown
from tailwart.environment import Environment, load
from tailwart.errors import TailwartError
from tailwart.history import recording
from tailwart.operations.one_host import one_host
from tailwart.operations.remote import HostRunner, gather
from tailwart.printing import say
from tailwart.stalwart.lifecycle.queue import Queue, held
from tailwart.stalwart.mailbox_host import mailbox_host
from tailwart.stalwart.settings.declaration import administrator_address
from tailwart.upgrade import backup, copies, proof, stores


def upgrade(*, yes: bool) -> None:
    """Show what is newer, ask, take a copy, exchange, prove. Raises `TailwartError` when it was taken back."""
    environment = load().environment
    plan = backends_plan.of(environment)
    ours = stores.stores(plan)
    if environment.backends_ssh is None or not ours:
        raise TailwartError(
            "the deploy has installed no PostgreSQL, Redis or Valkey",
            seen=f"BACKENDS_INSTALL={','.join(plan.stores)}",
            expected="a store that is the deploy's own",
            remedy="whoever runs the stores upgrades them; Garage is GARAGE_IMAGE in .env and a deploy",
        )
    with (
        mailbox_host(environment) as mailbox,
        one_host(environment, "backends", environment.backends_ssh, changes=True) as host,
    ):
        if left := packages.missing(plan.stores, gather(host, packages.watch(plan.stores))):
            raise TailwartError(
                "the stores are not installed yet",
                seen=f"missing: {', '.join(left)}",
                remedy="pyinfra inventory.py deploy.py --limit backends",
            )
        work = _Work(environment, mailbox, host)
        work.conclude(ours)
        found = [(store, server, newest) for store, server in ours if (newest := stores.newer(host, store))]
        if not found:
            say(f"{' and '.join(store.title for store, _ in ours)}: the newest of the archive. Nothing to do")
            return
        for store, _, newest in found:
            say(f"{store.title} {newest[0].before} → {newest[0].after} ({', '.join(item.name for item in newest)})")
        say(f"  backup:   {backup.describe(environment)}")
        say("  pause:    seconds, printed at the end; the way back: by itself, when the proof fails")
        if not yes:
            if not sys.stdin.isatty():
                raise TailwartError("nothing was changed", seen="no terminal to ask at", remedy="add --yes")
            click.confirm("Upgrade now?", abort=True, err=True)
        work.copy(database=any(store.title == "PostgreSQL" for store, _, _ in found))
        for store, server, newest in found:
            title = f"{store.title} {newest[0].after}"
            what = f"Backends: {store.title} {newest[0].before} → {newest[0].after}"
            with recording.of_command(environment, host, "backends", "upgrade --stores", what):
                seconds = stores.upgrade(
                    host, store, server, newest, held=work.held, prove=partial(work.prove, title), log=_log
                )
            say(f"{title} serves, and a message has arrived; it did not answer for {seconds:.1f} s")


class _Work:
    """What both hosts do for an upgrade of one of them."""

    def __init__(self, environment: Environment, mailbox: HostRunner, host: HostRunner) -> None:
        self._environment = environment
        self._mailbox = mailbox
        self._host = host

    def conclude(self, ours: list[tuple[stores.Store, stores.Server]]) -> None:
        """Prove what an earlier run has left unproven."""
        note = stores.unproven(self._host)
        for store, server in ours:
            if note is not None and note.title == store.title:
                _log(f"{note.describe} was never proven: an earlier run has ended in between")
                title = f"{store.title} {note.packages[0].after}"
                stores.conclude(self._host, store, server, note, prove=partial(self.prove, title))
                say(f"{note.describe}: proven now, a message has arrived")

    def copy(self, *, database: bool) -> None:
        """A backup where one is configured, else a dump on the host; Redis holds nothing that outlives a restart."""
        with shown() as tell:
            taken = backup.take(self._mailbox, self._environment, tell)
        if taken or not database:
            return
        _log(f"dumping the database: {copies.DUMP} on the backends host")
        name, owner = self._environment.stalwart_db_name, self._environment.stalwart_db_user
        copies.copy_database(copies.Database(lambda: self._host, name, owner))

    def held(self) -> AbstractContextManager[None]:
        """Nothing is delivered meanwhile."""
        return held(Queue(self._mailbox, log=_log))

    def prove(self, title: str) -> None:
        """The mailbox's role is let in over the tailnet, and a message arrives."""
        if found := backends_plan.database(self._environment):
            seen = postgres.read(self._host, postgres.Database(*found))
            if problem := login.problem(found[1], seen.attempts, seen.current.settings):
                raise problem
        recipient = administrator_address(self._environment)
        subject = f"{title} on {datetime.now(UTC):%Y-%m-%d at %H:%M} UTC"
        proof.prove(self._mailbox, self._environment.mail_services.public, recipient, subject)


def _log(text: str) -> None:
    say(f"… {text}", err=True)
