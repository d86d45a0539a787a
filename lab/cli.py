"""`tailwart lab`: the whole system on this machine. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

from collections.abc import Sequence

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def lab() -> None:
    """The whole system on this machine, as containers: bare Debian hosts, a tailnet, name servers, an outside world.

    Start with `tailwart lab up`, then run the deploy on it:

        TAILWART_ENV=$(tailwart lab env) pyinfra inventory.py deploy.py

    LAB_STALWART_IMAGE or LAB_STALWART_BINARY choose the Stalwart; LAB_PORT_BASE moves the ports on 127.0.0.1.
    """


@lab.command()
@click.option("--edges", type=int, help="How many edge hosts, 1 to 8. Default: as many as there are.")
@click.option("--family", "families", multiple=True, metavar="EDGE=v4|v6|both", help="An edge with IPv4 or IPv6 alone.")
def up(edges: int | None, families: Sequence[str]) -> None:
    """Build what is missing and start every host. Harmless when the lab is up already."""
    from lab import commands

    commands.up(edges, {name: family for name, _, family in (text.partition("=") for text in families)})


@lab.command()
def down() -> None:
    """Remove every container, network and volume of the lab, and stop the engine it started. Images stay."""
    from lab import commands

    commands.down()


@lab.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def status(as_json: bool) -> None:
    """Every host with its addresses, SSH port and health. Exit code 1 unless all answer."""
    from lab import commands

    commands.status(as_json=as_json)


@lab.command()
def env() -> None:
    """Print the path of the lab's .env."""
    from lab import commands

    commands.env()


@lab.command(context_settings={"ignore_unknown_options": True})
@click.argument("host")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(host: str, command: Sequence[str]) -> None:
    """Log in to HOST as root, or run COMMAND there."""
    from lab import commands

    commands.ssh(host, command)


@lab.command()
@click.argument("host")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now.")
@click.option("-u", "--unit", help="One systemd unit only.")
@click.option("-c", "--container", help="A container on the host: ts-stalwart, stalwart, tailwart-edge.")
@click.option("-n", "--lines", default=200, show_default=True)
def logs(host: str, follow: bool, unit: str | None, container: str | None, lines: int) -> None:
    """Show HOST's journal, or with -c what a container on it prints."""
    from lab import commands

    commands.logs(host, follow=follow, unit=unit, container=container, lines=lines)


@lab.command()
@click.option("--from", "sender", help="A local user: submits through the edge with STARTTLS and AUTH.")
@click.option("--to", "recipient", help="Default: alice inside, or friend outside when --from is given.")
@click.option("--subject", default="A message from the lab")
@click.option("--body", default="It works.")
@click.option("--port", default=587, show_default=True, help="Submission port with --from: 587 or 465.")
def send(sender: str | None, recipient: str | None, subject: str, body: str, port: int) -> None:
    """Send a message in from the outside world, or with --from USER out of the installation.

    A message out is awaited at the outside friend's mailbox; one in, by `tailwart lab fetch`.
    """
    from lab import commands

    commands.send(sender=sender, recipient=recipient, subject=subject, body=body, port=port)


@lab.command()
@click.option("--user", default="alice", show_default=True)
@click.option("--outside", is_flag=True, help="The outside friend's mailbox instead.")
@click.option("--headers", help="Only these header fields and the body: a comma list, for example received,subject.")
def fetch(user: str, outside: bool, headers: str | None) -> None:
    """Print the newest message, as a mail program outside reads it over the edge's port 993.

    Waits for the message that `tailwart lab send` sent last.
    """
    from lab import commands

    commands.fetch(user, outside=outside, headers=headers)
