"""`tailwart bans`: addresses that the mail server refuses. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click

_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def bans() -> None:
    """Banned addresses: list them, lift a ban.

    \b
      tailwart bans list
      tailwart bans lift 203.0.113.40

    An address is banned after too many refused logins, unknown recipients, idle connections or port scans; how many,
    and for how long, says mailbox_bans in group_data/mailbox.py. Failures count per name as well: an account under
    attack bans its owner at the first typo. The tailnet and the edges are never banned.
    """


@bans.command("list")
@_JSON
def list_(as_json: bool) -> None:
    """List the bans, the newest first, with reason and end."""
    from tailwart.cli.commands import bans as commands

    commands.list_all(as_json=as_json)


@bans.command()
@click.argument("address", required=False)
@click.option("--all", "everything", is_flag=True, help="Lift every ban.")
@_JSON
def lift(address: str | None, everything: bool, as_json: bool) -> None:
    """Lift the ban of ADDRESS, or every ban with --all.

    The server forgets what it has counted, of every address and name, or the next failure would ban again. Interrupted,
    run it again.
    """
    from tailwart.cli.commands import bans as commands

    commands.lift_bans(address, everything=everything, as_json=as_json)
