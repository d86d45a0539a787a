"""The commands of `tailwart lab`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence

from lab import dotenv, engine, etc_lab, hosts, lifecycle, mail, report, topology
from tailwart.errors import TailwartError
from tailwart.printing import say


def up(edges: int | None, families: Mapping[str, str]) -> None:
    """Start the lab and name the next step."""
    lifecycle.up(edges, families)
    say(f"Next: TAILWART_ENV={dotenv.path()} pyinfra inventory.py deploy.py")


def down() -> None:
    """Remove the lab."""
    lifecycle.down()


def status(*, as_json: bool) -> None:
    """Print the hosts; exits with 1 unless all answer."""
    found = report.collect()
    say(json.dumps(found.document(), indent=2) if as_json else found.text())
    sys.exit(0 if found.healthy else 1)


def env() -> None:
    """Print the path of the lab's .env. Raises `TailwartError` when there is none."""
    if not dotenv.path().is_file():
        raise TailwartError("the lab has no .env yet", remedy="tailwart lab up")
    say(dotenv.path())


def ssh(host: str, command: Sequence[str]) -> None:
    """Replace this process by a login on ``host``, or by ``command`` there."""
    hosts.running_engine()
    arguments = etc_lab.ssh_command(topology.host(host))
    os.execvp(arguments[0], [*arguments, *command])  # noqa: S606 no shell: the words go to ssh as they are


def logs(host: str, *, follow: bool, unit: str | None, container: str | None, lines: int) -> None:
    """Replace this process by the one that prints the host's journal, or what a container on it prints."""
    docker = hosts.running_engine()
    following = ["--follow"] if follow else []
    command = ["journalctl", "--no-pager", f"--lines={lines}", *following, *([f"--unit={unit}"] if unit else [])]
    if container:
        command = ["docker", "logs", f"--tail={lines}", *following, container]
    arguments = engine.exec_arguments(topology.host(host).container, command)
    os.execvpe("docker", ["docker", *arguments], docker.environment)  # noqa: S606 as above


def send(*, sender: str | None, recipient: str | None, subject: str, body: str, port: int) -> None:
    """Send a message in, or from ``sender`` out, and await it at the outside friend."""
    message = mail.Message(subject, body)
    if sender is None:
        say(mail.send_in(recipient or f"alice@{topology.DOMAIN}", message))
        mail.remember(message.identity, outside=False)
        say("Next: tailwart lab fetch")
        return
    target = recipient or mail.OUTSIDE_USER
    say(mail.send_out(sender, target, message, port))
    if target == mail.OUTSIDE_USER:
        mail.fetch_outside(message.identity)
        mail.remember(message.identity, outside=True)
        say(f"arrived at {target}")
        say("Next: tailwart lab fetch --outside")


def fetch(user: str, *, outside: bool, headers: str | None) -> None:
    """Print the newest message of ``user``, or of the outside friend."""
    identity = mail.last_sent(outside=outside)
    text = mail.fetch_outside(identity) if outside else mail.fetch(user, identity)
    say(mail.excerpt(text, headers.split(",")) if headers else text)
