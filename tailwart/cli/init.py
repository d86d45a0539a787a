"""`tailwart init`. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click


@click.command()
@click.option("--offline", is_flag=True, help="Check the form of the answers only; ask no host and no API.")
def init(offline: bool) -> None:
    """The first .env: asks what nobody can find out, and checks each answer at once against the real thing.

    SSH and root on every host, port 25 in both directions, reverse names, the OAuth client's scopes and tags, the DNS
    provider's key, the smarthost. Passwords of the installation's own are made. Each answer is written when it is
    given: stop at any time, and run it again to go on. Without a terminal it says what is missing.
    docs/first-installation.md goes through all of it once.
    """
    from tailwart.cli.commands import init as commands

    commands.init(offline=offline)
