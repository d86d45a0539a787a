"""`tailwart backup`, `restore` and `drill`. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click

_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_FROM = click.option("--from", "target", default="", metavar="TARGET", help="Another target than BACKUP_TARGET.")
_YES = click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")


@click.group(invoke_without_command=True)
@click.option("--to", "target", default="", metavar="TARGET", help="Another target than BACKUP_TARGET, this once.")
@click.option("--export", is_flag=True, help="The server's own export as well; stops an embedded store for its time.")
@_JSON
@click.pass_context
def backup(context: click.Context, target: str, export: bool, as_json: bool) -> None:
    """Take a backup now, or look after the backups there are.

    \b
      tailwart backup
      tailwart backup --to /srv/other
      tailwart backup list

    The mailbox host takes it, by the same unit that its timer starts every day (BACKUP_TIME), encrypted, to
    BACKUP_TARGET. Mail goes on meanwhile; with the embedded store the server stops for seconds, which are printed. A
    backup is a set: complete, or not there. The connection may break: the host goes on. More: docs/backup.md.
    """
    if context.invoked_subcommand is None:
        from tailwart.cli.commands import backup as commands

        commands.take(target, export=export, as_json=as_json)


@backup.command("list")
@_FROM
@_JSON
def list_(target: str, as_json: bool) -> None:
    """List the complete sets, the oldest first. Changes nothing."""
    from tailwart.cli.commands import backup as commands

    commands.list_all(target, as_json=as_json)


@backup.command()
@click.argument("name", metavar="[SET]", default="latest")
@_FROM
@_JSON
def verify(name: str, target: str, as_json: bool) -> None:
    """Read a set back (the newest without one), compare every part with its manifest, check the repository.

    Needs as much free space on the mailbox host as the set has. Changes nothing.
    """
    from tailwart.cli.commands import backup as commands

    commands.verify(name, target, as_json=as_json)


@backup.command()
@_FROM
def prune(target: str) -> None:
    """Remove the sets that BACKUP_KEEP does not keep. Every backup ends with it."""
    from tailwart.cli.commands import backup as commands

    commands.prune(target)


@click.command()
@click.argument("name", metavar="SET")
@click.option("--into", default="", metavar="USER@HOST[:PORT]", help="Another host than MAILBOX_SSH; a bare one, say.")
@click.option(
    "--overwrite-newer",
    is_flag=True,
    help="Allow a store that holds data, which is newer than the set. It is kept on the host first.",
)
@_FROM
@_YES
@_JSON
def restore(name: str, into: str, *, overwrite_newer: bool, target: str, yes: bool, as_json: bool) -> None:
    """Bring the mailbox back to SET (or `latest`): database, message bodies, settings, accounts, keys.

    \b
      tailwart restore latest
      tailwart restore 20261127T031000Z --overwrite-newer
      tailwart restore latest --into root@192.0.2.11

    The set is fetched and compared with its manifest before anything is touched. A store that holds data is refused.
    On a bare host, everything that the mailbox needs is installed first. Interrupted, run it again.
    """
    from tailwart.cli.commands import backup as commands

    commands.restore_command(name, into, overwrite=overwrite_newer, target=target, yes=yes, as_json=as_json)


@click.command()
@click.argument("name", metavar="[SET]", default="latest")
@click.option("--without-messages", is_flag=True, help="Do not compare mailboxes and messages over IMAP.")
@_FROM
@_JSON
def drill(name: str, without_messages: bool, target: str, as_json: bool) -> None:
    """Restore a set (the newest without one) into a throw-away stack on the mailbox host, and compare it.

    The stack has no network: it cannot send mail, order certificates or join the tailnet. Rows, accounts, domains and
    keys are compared with what the server had; mailboxes, counts and a sample of messages of the accounts in .env with
    what it has now. Everything is removed afterwards; the result stays on the host. The timer does it by DRILL_TIME.
    """
    from tailwart.cli.commands import backup as commands

    commands.drill(name, target, messages=not without_messages, as_json=as_json)
