"""`tailwart lab`: the whole system on this machine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

import click

from lab import dotenv, engine, etc_lab, hosts, lifecycle, mail, report, topology
from tailwart.errors import TailwartError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def lab() -> None:
    """The whole system on this machine, as containers: bare Debian hosts, a tailnet, name servers, an outside world.

    Start with `tailwart lab up`, then run the deploy on it:

        TAILWART_ENV=$(tailwart lab env) pyinfra inventory.py deploy.py

    LAB_STALWART_IMAGE or LAB_STALWART_BINARY choose the Stalwart; LAB_PORT_BASE moves the ports on 127.0.0.1.
    """


@lab.command()
@click.option("--edges", type=int, help="How many edge hosts, 1 or 2. Default: as many as there are.")
def up(edges: int | None) -> None:
    """Build what is missing and start every host. Harmless when the lab is up already."""
    lifecycle.up(edges)
    click.echo(f"Next: TAILWART_ENV={dotenv.path()} pyinfra inventory.py deploy.py")


@lab.command()
def down() -> None:
    """Remove every container, network and volume of the lab, and stop the engine it started. Images stay."""
    lifecycle.down()


@lab.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def status(as_json: bool) -> None:
    """Every host with its addresses, SSH port and health. Exit code 1 unless all answer."""
    found = report.collect()
    click.echo(json.dumps(found.document(), indent=2) if as_json else found.text())
    sys.exit(0 if found.healthy else 1)


@lab.command()
def env() -> None:
    """Print the path of the lab's .env."""
    if not dotenv.path().is_file():
        raise TailwartError("the lab has no .env yet", remedy="tailwart lab up")
    click.echo(dotenv.path())


@lab.command(context_settings={"ignore_unknown_options": True})
@click.argument("host")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(host: str, command: Sequence[str]) -> None:
    """Log in to HOST as root, or run COMMAND there."""
    hosts.running_engine()
    arguments = etc_lab.ssh_command(topology.host(host))
    os.execvp(arguments[0], [*arguments, *command])  # noqa: S606 no shell: the words go to ssh as they are


@lab.command()
@click.argument("host")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now.")
@click.option("-u", "--unit", help="One systemd unit only.")
@click.option("-c", "--container", help="A container on the host: ts-stalwart, stalwart, tailwart-edge.")
@click.option("-n", "--lines", default=200, show_default=True)
def logs(host: str, follow: bool, unit: str | None, container: str | None, lines: int) -> None:
    """Show HOST's journal, or with -c what a container on it prints."""
    docker = hosts.running_engine()
    following = ["--follow"] if follow else []
    command = ["journalctl", "--no-pager", f"--lines={lines}", *following, *([f"--unit={unit}"] if unit else [])]
    if container:
        command = ["docker", "logs", f"--tail={lines}", *following, container]
    arguments = engine.exec_arguments(topology.host(host).container, command)
    os.execvpe("docker", ["docker", *arguments], docker.environment)  # noqa: S606 as above


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
    message = mail.Message(subject, body)
    if sender is None:
        click.echo(mail.send_in(recipient or f"alice@{topology.DOMAIN}", message))
        mail.remember(message.identity, outside=False)
        click.echo("Next: tailwart lab fetch")
        return
    target = recipient or mail.OUTSIDE_USER
    click.echo(mail.send_out(sender, target, message, port))
    if target == mail.OUTSIDE_USER:
        mail.fetch_outside(message.identity)
        mail.remember(message.identity, outside=True)
        click.echo(f"arrived at {target}")
        click.echo("Next: tailwart lab fetch --outside")


@lab.command()
@click.option("--user", default="alice", show_default=True)
@click.option("--outside", is_flag=True, help="The outside friend's mailbox instead.")
@click.option("--headers", help="Only these header fields and the body: a comma list, for example received,subject.")
def fetch(user: str, outside: bool, headers: str | None) -> None:
    """Print the newest message, as a mail program outside reads it over the edge's port 993.

    Waits for the message that `tailwart lab send` sent last.
    """
    identity = mail.last_sent(outside=outside)
    text = mail.fetch_outside(identity) if outside else mail.fetch(user, identity)
    click.echo(mail.excerpt(text, headers.split(",")) if headers else text)
