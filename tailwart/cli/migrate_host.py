"""`tailwart migrate-host`. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click


@click.command("migrate-host")
@click.argument("target", metavar="USER@HOST[:PORT]", required=False)
@click.option("--give-up", is_flag=True, help="Start the old host again after a move that was interrupted.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask; needed where there is no terminal.")
def migrate_host(target: str | None, give_up: bool, yes: bool) -> None:
    """Move the mailbox to another host, a bare Debian: store, settings, keys, and its name on the tailnet.

    \b
      tailwart migrate-host root@192.0.2.11
      tailwart migrate-host --give-up

    The new host is prepared while the old one serves. Then the edges hold new connections, the old host stops, the rest
    is copied and compared by SHA-256, and the server starts behind closed ports. Once it is proven, it serves whoever
    waited; MAILBOX_SSH in .env is changed, and a deploy completes the new host. When anything fails before that, the
    old host serves again by itself. Interrupted, run it again: it goes on.

    The old host stays as it was, stopped. The way back is the same command with the old host as the target.
    """
    from tailwart.cli.commands import migrate_host as commands

    commands.migrate(target, give_up=give_up, yes=yes)
