"""`tailwart env`: look at the selected `.env` without touching anything."""

from __future__ import annotations

import json

import click

from tailwart.environment import load, selected_path
from tailwart.environment.example import render_example
from tailwart.inventory import roles


@click.group()
def env() -> None:
    """The .env file: check it, or print the documented example."""


@env.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check(as_json: bool) -> None:
    """Tell every problem of the file, unknown keys, and which roles it configures. No connection is opened."""
    loaded = load()
    found = roles(loaded.environment)
    if as_json:
        document = {
            "path": str(selected_path()),
            "warnings": list(loaded.warnings),
            "roles": {role.name: [name for name, _ in role.hosts] for role in found},
        }
        click.echo(json.dumps(document, indent=2))
        return
    for warning in loaded.warnings:
        click.echo(f"Warning: {warning}", err=True)
    click.echo(f"{selected_path()}: no problems")
    for role in found:
        click.echo(f"  {role.name:<9}{', '.join(name for name, _ in role.hosts) or f'left out: {role.absence}'}")
    click.echo("Next: pyinfra inventory.py deploy.py --dry --diff")


@env.command()
def example() -> None:
    """Print .env.example: every key with its meaning, default and an example."""
    click.echo(render_example(), nl=False)
