"""`tailwart trace`: one message's way. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click


@click.command()
@click.argument("term", metavar="MESSAGE-ID|ADDRESS|NUMBER")
@click.option("--since", default="3d", show_default=True, help="How far back: 30m, 12h, 3d.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def trace(term: str, since: str, as_json: bool) -> None:
    """Follow messages through the server's log: who brought them, every try, and what the other side said.

    \b
      tailwart trace alice@example.org --since 12h
      tailwart trace '<20261127.1@example.net>'
      tailwart trace 4be448ccbc00200

    NUMBER is what the server's 250 said: "queued with id …". The log has no Message-ID of outgoing mail: ask for those
    by that number or by an address. Subjects and contents are not logged. The newest twenty messages are shown.
    """
    from tailwart.cli.commands import trace as commands

    commands.trace(term, since, as_json=as_json)
