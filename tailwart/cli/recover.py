"""`tailwart recover`: the way back in when locked out. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click


@click.command()
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def recover(yes: bool) -> None:
    """Locked out: give the administrator the password of .env again (lesson 17).

    Restarts Stalwart twice: into recovery mode, in which mail waits and nothing is lost, and out of it. Then removes
    both recovery variables and verifies that the recovery login is rejected. Without STALWART_ADMIN_PASSWORD in .env it
    asks for a new password.

    Interrupted anywhere, run it again, or run the deploy: both finish it.
    """
    from tailwart.cli.commands import recover as commands

    commands.recover(yes=yes)
