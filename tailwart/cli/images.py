"""`tailwart images` and `tailwart outdated`. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

import click


@click.group()
def images() -> None:
    """The images that hosts run, by digest."""


@images.command()
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 when a tag has moved or is not locked.")
def lock(check: bool) -> None:
    """Ask the registries which digests the tags of .env name now, and write them to images.lock beside it.

    The deploy then runs exactly these: a tag that moves later changes no host until this command runs again. A base
    image that has moved rebuilds the edges' image at the next deploy.
    """
    from tailwart.cli.commands import images as commands

    commands.lock(check=check)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON document instead of text.")
def outdated(as_json: bool) -> None:
    """What has newer versions, known security fixes first; exit code 1 when there are any, 2 when a look-up failed.

    Asks image registries, and GitHub for versions and advisories; nothing is changed.
    """
    from tailwart.cli.commands import images as commands

    commands.outdated(as_json=as_json)
