"""`tailwart store`: where the mail server keeps its data. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click


@click.group()
def store() -> None:
    """The data store behind the mail server, and the message bodies."""


@store.command()
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def move(yes: bool) -> None:
    """Move everything to the stores that .env names: data embedded to PostgreSQL or back, bodies to a bucket or back.

    First change STALWART_STORE (and STALWART_DB_...) or S3_... in .env and run the deploy with --limit tailnet and
    backends, so that the new store can be reached. Then this command stops the mail server, exports, imports, exports
    again from the new place, and compares both exports by SHA-256. Only when they are equal does the mailbox change
    over. Senders are refused a connection meanwhile and try again later.

    The old store is kept. Interrupted anywhere, run it again: it goes on.
    """
    from tailwart.cli.commands import store as commands

    commands.move(yes=yes)
