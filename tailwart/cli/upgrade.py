"""`tailwart upgrade`. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click


@click.command()
@click.option("--to", "version", metavar="VERSION", help="This release of Stalwart; without: that of STALWART_IMAGE.")
@click.option("--rehearse", is_flag=True, help="First open the backup with the new version, in isolation.")
@click.option(
    "--stores", is_flag=True, help="PostgreSQL and Redis that the deploy has installed, in place of Stalwart."
)
@click.option("--without-backup", is_flag=True, help="Go on where neither a backup nor a copy of the data can be made.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask; needed where there is no terminal.")
def upgrade(version: str | None, rehearse: bool, stores: bool, without_backup: bool, yes: bool) -> None:
    """Another release of Stalwart on the mailbox, with the way back built in.

    A backup is taken, the new image is fetched while the present one serves, then the containers are swapped. The new
    one has to become healthy, listen, trust the edges, and deliver a message; if it does not, image and files from
    before are back by themselves, and the data too where the earlier version cannot read it any more. The seconds in
    which nobody answered are printed.

    A deploy with another STALWART_IMAGE does the same, without the backup. An image that has failed is tried again by
    this command alone.

    With --stores: newer packages of PostgreSQL, Redis or Valkey on the backends host, within their major version, in
    the same way; the packages from before are back by themselves when the proof fails.
    """
    if stores:
        if version or rehearse or without_backup:
            raise click.UsageError("--stores goes with --yes alone")
        from tailwart.cli.commands import upgrade_stores

        upgrade_stores.upgrade(yes=yes)
        return
    from tailwart.cli.commands import upgrade as commands

    commands.upgrade(version, rehearse=rehearse, without_backup=without_backup, yes=yes)
