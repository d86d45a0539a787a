"""`tailwart env`: check the selected `.env` and change nothing. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click


@click.group()
def env() -> None:
    """The .env file: check it, or print the documented example."""


@env.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON document instead of text.")
def check(as_json: bool) -> None:
    """Report every problem of the file, unknown keys, and which roles it configures. No connection is opened."""
    from tailwart.cli.commands import env as commands

    commands.check(as_json=as_json)


@env.command()
def example() -> None:
    """Print .env.example: every key with its meaning, default and an example."""
    from tailwart.cli.commands import env as commands

    commands.example()
