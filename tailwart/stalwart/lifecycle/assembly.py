"""The server of a mailbox host, assembled from its environment: for the deploy and for the commands beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from pyinfra.api.host import Host

from tailwart.environment import Environment
from tailwart.mailbox.project import compose_project
from tailwart.operations.compose import bring_up
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle import second_server
from tailwart.stalwart.lifecycle.server import Log, Server
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.inputs import MailboxSettings


def recreation(run: Runner, environment: Environment) -> Callable[[], None]:
    """A function that recreates the container with its current environment files (Compose "recreate")."""
    return partial(bring_up, run, compose_project(environment))


def server(
    run: Runner,
    host: Host,
    environment: Environment,
    settings: MailboxSettings,
    log: Log,
    *,
    replaced: Sequence[DesiredObject] = (),
) -> Server:
    """The server on that host; it refuses to write while a second server uses the same store."""
    check = partial(second_server.check, host, environment)
    return Server(run, settings, recreation(run, environment), log=log, check=check, replaced=replaced)
