"""The `tailwart` command: one group per plane, loaded only when it is called."""

from __future__ import annotations

import importlib
import sys

import click

from tailwart import __version__
from tailwart.errors import TailwartError

# name → (module, attribute, help line). Loaded on demand: a command must not pay for the imports of the others.
_COMMANDS = {
    "lab": ("lab.cli", "lab", "The whole system on this machine: up, down, status, ssh, logs, send, fetch."),
    "settings": ("tailwart.cli.settings", "settings", "Stalwart's settings: plan, apply, export."),
    "account": ("tailwart.cli.account", "account", "Mail accounts: list, add, passwd, alias, quota, disable."),
    "recover": ("tailwart.cli.recover", "recover", "Locked out: reset the administrator's password (lesson 17)."),
    "tailnet": ("tailwart.cli.tailnet", "tailnet", "The tailnet policy: plan, apply, test, restore, matrix."),
    "dns": ("tailwart.cli.dns", "dns", "The zone: plan, apply, check, snapshot, restore, zonefile, diff."),
    "env": ("tailwart.cli.env", "env", "The .env file: check it, or print the documented example."),
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # The default would import every command only to read its first help line.
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Tools beside the deploy. TAILWART_ENV=path selects another .env file."""


def main() -> None:
    """Entry point: turns a TailwartError into its message and exit code 1."""
    try:
        cli()
    except TailwartError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
