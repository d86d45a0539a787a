"""`tailwart rollback`. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click


@click.command()
@click.option("--to", "which", metavar="REV", help="This deploy, by number or revision; without: the last good one.")
@click.option("--dry", is_flag=True, help="Show what would change, and stop.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask; needed where there is no terminal.")
def rollback(which: str | None, dry: bool, yes: bool) -> None:
    """Back to the last good deploy: images, files, Stalwart's settings, policy and zone.

    The settings of that deploy (.env without its secrets, images.lock, group_data) come back, and a deploy makes the
    hosts, the policy and the zone as they say; each plane's own diff is shown first. Values that later deploys have
    replaced on the mail server come back too, also where nothing declares them. Mail, accounts and the entries of
    others in the policy and the zone stay. Secrets stay as they are now.
    """
    from tailwart.cli.commands import rollback as commands

    commands.rollback(which, dry=dry, yes=yes)
