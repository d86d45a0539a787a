"""The facts of the running server, read through its container."""

from __future__ import annotations

from tailwart.checks.server import ServerFacts
from tailwart.connectors.shell import SshRunner
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.stalwart.accounts import bans, queued
from tailwart.stalwart.lifecycle import second_server, version
from tailwart.stalwart.lifecycle.second_server import Client as StoreClient
from tailwart.stalwart.lifecycle.server import Observed, Server
from tailwart.stalwart.mailbox_host import declared
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport
from tailwart.stalwart.protocol.jmap import FOUND, MAX_OBJECTS, Call

_QUEUE_SHOWN = 100
_TASKS = (Call("Task", "query", {"limit": MAX_OBJECTS}), Call("Task", "get", {"ids": FOUND}))


def gather(run: SshRunner, environment: Environment) -> ServerFacts:
    """Ask the server. Raises `TailwartError` when it does not run, does not answer or refuses the stored login."""
    observed = Server(run, declared(environment), _nothing).observe()
    if observed.live is None or not observed.host.initialised:
        raise TailwartError(
            "no initialised Stalwart runs on the mailbox host",
            seen="no running container, or a server that was never set up",
            remedy="pyinfra inventory.py deploy.py --limit mailbox",
        )
    client = Client(ContainerTransport(run, observed.login))
    *queue, _, tasks = client.call([*queued.reading(_QUEUE_SHOWN), *_TASKS])
    return ServerFacts(
        environment,
        observed,
        version.running(run, observed.host.image),
        int(queue[0].arguments.get("total") or 0),
        queued.parse(queue[1].objects),
        {"Task": tuple(tasks.objects)},
        bans.banned(client),
        _others(run, environment, observed),
    )


def _nothing() -> None:
    """A look recreates nothing."""


def _others(run: SshRunner, environment: Environment, observed: Observed) -> list[StoreClient] | TailwartError:
    if environment.stalwart_store != "postgres":
        return []
    try:
        own = second_server.parse_own(run(second_server.own_addresses(observed.host), timeout=30).stdout)
        return second_server.others(second_server.ask(run.open_session, environment), *own)
    except TailwartError as error:
        return error
