"""What a hand-over would change on each plane, as the planes' own commands show it, asked of the old installation."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

from tailwart.adoption.found import Mailbox
from tailwart.connectors.shell import SshRunner
from tailwart.dns import overrides
from tailwart.dns.plane import combined, plane_of
from tailwart.dns.server import over
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.plan import render
from tailwart.plan.model import Plan
from tailwart.printing import say
from tailwart.runner import Runner
from tailwart.stalwart.mailbox_host import declared
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, Login
from tailwart.stalwart.settings import guards
from tailwart.stalwart.settings.desired import desired, reading
from tailwart.stalwart.settings.fingerprints import Fingerprints
from tailwart.stalwart.settings.planning import plan
from tailwart.tailnet import session


def show(environment: Environment, mailbox: Mailbox, login: Login | None) -> None:
    """Print every plane's plan; raises `TailwartError` where one is refused, or the server's settings are not known."""
    if login is None:
        raise TailwartError(
            "the server's own settings are not known, so a hand-over would be a guess",
            seen="it takes neither the login of .env nor that of its container",
            expected="STALWART_ADMIN and STALWART_ADMIN_PASSWORD of an administrator that it has",
            remedy="set both in .env, then run this again",
        )
    assert environment.mailbox_ssh is not None, "it was looked at"
    with SshRunner(environment, environment.mailbox_ssh) as run:
        transport = ContainerTransport(run, login, base=names.BASE, container=mailbox.stalwart.name)
        refused = [
            problem
            for problem in (
                _shown(lambda: _settings(environment, Client(transport))),
                _shown(lambda: _policy(environment)),
                _shown(lambda: _zone(environment, run, transport)),
            )
            if problem is not None
        ]
    if refused:
        raise refused[0]


def _shown(made: Callable[[], Plan | None]) -> TailwartError | None:
    try:
        if (found := made()) is not None:
            say(render(found, colour=sys.stdout.isatty()))
    except TailwartError as problem:
        say(f"! {problem.what}", err=True)
        return problem
    return None


def _settings(environment: Environment, client: Client) -> Plan:
    settings = declared(environment)
    live = client.read(reading(settings))
    planned = plan(desired(settings), live, Fingerprints())
    moving = guards.warnings(settings, planned.changes, live)
    if moving:
        raise TailwartError(
            "the blob store would move",
            seen="; ".join(moving),
            expected="S3_ENDPOINT, S3_REGION and S3_BUCKET as the server has them",
            remedy="correct them in .env, then run this again",
        )
    return planned.document(live)


def _policy(environment: Environment) -> Plan | None:
    if not session.has_credential(environment):
        say("! tailnet: no OAuth client and no API key, so the policy stays as it is", err=True)
        return None
    planned = session.push(environment).prepare()
    if planned.refusal is not None:
        raise planned.refusal
    return planned.plan


def _zone(environment: Environment, run: Runner, transport: ContainerTransport) -> Plan | None:
    if environment.dns_provider == "none":
        return None
    plane = plane_of(environment, overrides.load(), run)
    plane = replace(plane, source=over(transport, environment.domains, environment.acme_directory_in_use))
    provider = plane.open_provider(lambda line: say(line, err=True))
    return combined(plane.guard(plane.plans(provider)).values())
