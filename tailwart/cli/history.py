"""`tailwart history` and `tailwart diff`. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click

_json = click.option("--json", "as_json", is_flag=True, help="A JSON document instead of text.")


@click.command()
@click.option("--last", type=click.IntRange(1), default=20, show_default=True, help="How many deploys to show.")
@click.option("--host", metavar="NAME", help="What this host itself remembers, whoever deployed to it.")
@_json
def history(last: int, host: str | None, as_json: bool) -> None:
    """What deploys changed on which host, when, by whom and from which revision; the newest first.

    A run that changes nothing is not among them. The list is of this machine's deploys; every host remembers the
    deploys that changed it, from all machines (`--host mailbox`).
    """
    from tailwart.cli.commands import history as commands

    commands.history(last, host, as_json=as_json)


@click.command()
@click.argument("which", metavar="REV")
@_json
def diff(which: str, as_json: bool) -> None:
    """What the deploy of REV changed, and what differs between then and now.

    REV is a number of `tailwart history`, or a revision of the checkout (its newest deploy). "Now" is what the settings
    and the code of this checkout would deploy: settings, and the files of every host. Secrets are never compared.
    """
    from tailwart.cli.commands import history as commands

    commands.diff(which, as_json=as_json)
