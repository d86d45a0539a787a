"""`tailwart env`: the selected `.env` and the keys of its hosts. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click


@click.group()
def env() -> None:
    """The .env file: check it, trust the keys of its hosts, or print the documented example."""


@env.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON document instead of text.")
def check(as_json: bool) -> None:
    """Report every problem of the file, unknown keys, and which roles it configures. No connection is opened."""
    from tailwart.cli.commands import env as commands

    commands.check(as_json=as_json)


@env.command()
@click.option("--yes", "-y", is_flag=True, help="Accept the keys that are shown, without asking.")
def trust(yes: bool) -> None:
    """Show the host keys of all hosts, and write those that are new into known_hosts once you have confirmed them.

    The file is SSH_KNOWN_HOSTS, or ~/.ssh/known_hosts. A fingerprint is proof only if it is compared with what the host
    itself says: on its console, `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`. A key that has changed is never
    accepted: remove the old one first, with the command that is shown.
    """
    from tailwart.cli.commands import env as commands

    commands.trust(yes=yes)


@env.command()
def example() -> None:
    """Print .env.example: every key with its meaning, default and an example."""
    from tailwart.cli.commands import env as commands

    commands.example()
