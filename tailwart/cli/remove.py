"""`tailwart remove`. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click


@click.command()
@click.argument("role", metavar="ROLE")
@click.option("--data", "with_data", is_flag=True, help="The data too: volumes of the mailbox, or the database.")
@click.option("--dry", is_flag=True, help="Show what would go, and stop.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask; needed where there is no terminal.")
def remove(role: str, with_data: bool, dry: bool, yes: bool) -> None:
    """Take a role off: an edge by its name, `edge` for all of them, `mailbox`, `backends`, `tailnet` or `dns`.

    Shows first what will go, and asks. What the deploy has made goes: containers, images that it built, units, files,
    hardening, its entries in the policy, its records in the zone. Data stays unless --data is given, and what others
    have made is not touched. .env is edited so that the next deploy does not make it again.
    """
    from tailwart.cli.commands import remove as commands

    commands.remove(role, with_data=with_data, dry=dry, yes=yes)
