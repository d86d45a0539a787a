"""The settings plane as operations of the mailbox role."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from functools import partial
from typing import Any

from pyinfra.api.command import FunctionCommand
from pyinfra.api.operation import operation
from pyinfra.context import ctx_host

from tailwart.environment import Environment
from tailwart.mailbox.project import compose_project
from tailwart.operations.compose import bring_up
from tailwart.operations.remote import HostRunner, command
from tailwart.plan import render
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle import second_server
from tailwart.stalwart.lifecycle.bootstrap import prepare, prepared
from tailwart.stalwart.lifecycle.server import Observed, Server
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.settings.declaration import from_environment
from tailwart.stalwart.settings.groupdata import GROUP_DATA


@operation()
def prepare_bootstrap(environment: Environment) -> Generator[FunctionCommand, None, None]:
    """The environment file of the server's first start: a random administrator until the server is initialised.

    Before `compose.up`. Also takes away what an interrupted `tailwart recover` has left there.
    """
    del environment  # the same for every installation
    host = ctx_host.get()
    if prepared(HostRunner(host)):
        host.noop("the server's first start is prepared or over")
        return
    yield command(host, prepare, "prepare the server's first start")


@operation()
def apply_settings(
    environment: Environment, data: Mapping[str, Any] | None = None
) -> Generator[FunctionCommand, None, None]:
    """Make Stalwart's settings as declared: read, plan, write, restart only when needed, prove.

    `data` holds the `mailbox_…` names of `group_data/mailbox.py`; by default they are taken from the host's data.
    """
    host = ctx_host.get()
    given = data if data is not None else {name: host.data.get(name) for name in GROUP_DATA}
    settings = from_environment(environment, given)

    def server(run: Runner) -> Server:
        recreate = partial(bring_up, run, compose_project(environment))
        return Server(run, settings, recreate, log=host.log, check=partial(second_server.check, host, environment))

    observed = server(HostRunner(host)).observe()
    for certificate in observed.certificates:
        if certificate.failure:
            host.log(f"! {certificate.message()}")
    if observed.up_to_date:
        host.noop("Stalwart's settings are as declared")
        return
    if host.state.is_executing or host.state.config.DIFF:
        for line in render(observed.planned.document(observed.live or Live({}))).splitlines():
            host.log(line)

    def work(run: Runner, seen: Observed | None = observed if host.state.is_executing else None) -> None:
        server(run).apply(seen)

    yield command(host, work, "apply Stalwart's settings")
