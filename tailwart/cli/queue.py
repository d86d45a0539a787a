"""`tailwart queue`: mail that waits to be delivered. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click

_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_YES = click.option("--yes", is_flag=True, help="Do not ask.")
_IDS = click.argument("identifiers", nargs=-1, metavar="[ID]…")
_ALL = click.option("--all", "everything", is_flag=True, help="Every message that waits.")
_TO = click.option("--to", "domain", metavar="DOMAIN", help="Every message with a recipient at this domain.")


@click.group()
def queue() -> None:
    """Mail that waits to be delivered, and what the other side said last.

    \b
      tailwart queue list
      tailwart queue retry --to example.com
      tailwart queue cancel 4be448ccbc00200

    The server tries again by itself, after 2, 5, … minutes and for three days. Contents are never shown.
    """


@queue.command("list")
@click.option("--search", default="", metavar="TEXT", help="Only messages with this in sender or recipient.")
@_JSON
def list_(search: str, as_json: bool) -> None:
    """List what waits, the next to be tried first."""
    from tailwart.cli.commands import queue as commands

    commands.list_all(search, as_json=as_json)


@queue.command()
@_IDS
@_TO
@_ALL
@_JSON
def retry(identifiers: tuple[str, ...], domain: str | None, everything: bool, as_json: bool) -> None:
    """Try messages at once: these IDs, all to a DOMAIN, or all."""
    from tailwart.cli.commands import queue as commands

    commands.retry(identifiers, domain, everything=everything, as_json=as_json)


@queue.command()
@_IDS
@_TO
@_ALL
@_YES
@_JSON
def cancel(identifiers: tuple[str, ...], domain: str | None, everything: bool, yes: bool, as_json: bool) -> None:
    """Drop messages without a bounce: their senders are not told."""
    from tailwart.cli.commands import queue as commands

    commands.cancel(identifiers, domain, everything=everything, yes=yes, as_json=as_json)
