"""`tailwart edge`: the edges, beside the deploy. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click


@click.group()
def edge() -> None:
    """The edges: back to what served before.

    \b
      tailwart edge rollback edge-1
    """


@edge.command()
@click.argument("names", nargs=-1, metavar="[EDGE]...")
@click.option("--all", "everything", is_flag=True, help="Every edge of EDGES.")
@click.option("--dry-run", is_flag=True, help="Only say from which image to which.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def rollback(names: tuple[str, ...], everything: bool, dry_run: bool, as_json: bool) -> None:
    """Go back to the image and the configuration that served before the last change, one edge after the other.

    Nothing is downloaded or built: the host has kept both. Once more brings back what served now. The next deploy
    brings the edge to the settings of .env again, so set there what you want to keep, for example CADDY_SHA256.
    """
    from tailwart.cli.commands import edge as commands

    commands.rollback(names, everything=everything, dry_run=dry_run, as_json=as_json)
