"""The command `tailwart migrate-host`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import click
from pydantic import TypeAdapter, ValidationError

from tailwart import fields
from tailwart.cli.commands import progress
from tailwart.cli.commands.deploying import deploy
from tailwart.connectors.shell import SshRunner
from tailwart.connectors.ssh import ssh_data
from tailwart.connectors.trust import shown_key
from tailwart.environment import Environment, SshTarget, load, selected_path
from tailwart.environment.editing import edited, write
from tailwart.errors import TailwartError
from tailwart.mailbox.project import compose_project
from tailwart.migration import hosts
from tailwart.migration.moving import Move
from tailwart.operations.one_host import one_host
from tailwart.printing import say
from tailwart.stalwart.mailbox_host import mailbox_host

_KEY = "MAILBOX_SSH"


def migrate(target: str | None, *, give_up: bool, yes: bool) -> None:
    """Check, ask, move, and complete the new host. Raises `TailwartError` where it cannot be done or was taken back."""
    environment = load().environment
    if give_up:
        with _move(environment, _interrupted(environment)) as move:
            move.give_up()
        say("The old host serves again. Next: pyinfra inventory.py deploy.py --limit mailbox")
        return
    chosen = _target(target)
    _trusted(environment, chosen)
    old = str(environment.mailbox_ssh)
    with _move(environment, chosen) as move:
        found = move.check()
        say(f"Mailbox {old} → {chosen}, as {environment.stalwart_magic_name} on the tailnet")
        say(f"  store:  {_store(environment)}")
        say("  pause:  as long as the rest takes to copy; connections wait at the edges for up to 4 minutes each")
        say(f"  old:    stays as it was, stopped; the way back: tailwart migrate-host {old}")
        if str(environment.backup_target or "").startswith("/"):
            say(f"! the backups in {environment.backup_target} stay on the old host", err=True)
        if found is not None:
            say(f"  goes on where an earlier run ended: {found.step}")
        elif not yes:
            if not sys.stdin.isatty():
                raise TailwartError("nothing was moved", seen="no terminal to ask at", remedy="add --yes")
            click.confirm("Move now?", abort=True, err=True)
        try:
            waited = move.execute(found)
            _switch(chosen)
            if waited:
                say(f"The mailbox serves on {chosen}; mail waited for {waited:.1f} s")
            move.finish()
        finally:
            move.release()
    if not deploy("--limit", "mailbox", command="migrate-host"):
        raise TailwartError(
            "the mailbox serves on the new host, and the deploy that completes it failed",
            seen="the last lines of the deploy, above",
            expected="packet filter, units and timers on the new host",
            remedy="fix the error above, then: pyinfra inventory.py deploy.py --limit mailbox",
        )
    say(f"Moved. The way back: tailwart migrate-host {old}. Next: tailwart doctor; make verify")


def _switch(target: SshTarget) -> None:
    path = selected_path()
    write(path, edited(path.read_text(encoding="utf-8"), {_KEY: str(target)}))
    say(f"{path}: {_KEY}={target}")


@contextmanager
def _move(environment: Environment, target: SshTarget) -> Iterator[Move]:
    with ExitStack() as stack:
        # Their turns: no deploy and no other command is at work on either host meanwhile.
        stack.enter_context(mailbox_host(environment, changes=True))
        assert environment.mailbox_ssh is not None, "there is a connection to it"
        source, new = (stack.enter_context(SshRunner(environment, host)) for host in (environment.mailbox_ssh, target))
        # Before its turn is taken: on one machine, this run would wait for itself.
        hosts.refuse_the_same(source, new)
        stack.enter_context(one_host(environment, "new-mailbox", target, changes=True))
        edges = {edge.name: stack.enter_context(SshRunner(environment, edge.ssh)) for edge in environment.edges}
        project = compose_project(environment)
        tell = stack.enter_context(progress.shown())
        yield Move(environment, project, source, new, str(target), edges, tell)


def _interrupted(environment: Environment) -> SshTarget:
    with mailbox_host(environment) as run:
        found = hosts.read_journal(run)
    if found is None:
        raise TailwartError("there is nothing to give up", seen="no journal of a move on the host of MAILBOX_SSH")
    return _target(found.target)


def _target(text: str | None) -> SshTarget:
    if not text:
        raise TailwartError("which host?", expected="USER@HOST[:PORT]", remedy="tailwart migrate-host root@192.0.2.11")
    try:
        found: SshTarget = TypeAdapter(fields.Ssh).validate_python(text)
    except ValidationError as error:
        expected = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise TailwartError("no such host", seen=text, expected=expected) from None
    return found


def _trusted(environment: Environment, target: SshTarget) -> None:
    """The key of the new host is known, or is shown and trusted by somebody at a terminal."""
    shown = shown_key("new host", ssh_data(environment, target))
    if shown.problem is not None:
        raise shown.problem
    if not shown.new:
        return
    say(f"{target}  {shown.describe()}")
    if not sys.stdin.isatty():
        raise TailwartError(
            "the new host's key is not trusted yet",
            seen=shown.describe(),
            expected=f"its key in {shown.known_hosts}",
            remedy="run this at a terminal, which shows the key and asks",
        )
    say("Compare with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on its console.", err=True)
    click.confirm("Trust it?", abort=True, err=True)
    shown.remember()


def _store(environment: Environment) -> str:
    if environment.stalwart_store == "postgres":
        return f"PostgreSQL at {environment.stalwart_db_host} stays where it is; notes and the sidecar's state move"
    return "the embedded store moves"
