"""The settings plane as pyinfra operations of the mailbox role."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import FunctionCommand
from pyinfra.api.operation import operation
from pyinfra.context import ctx_host

from tailwart.environment import Environment
from tailwart.operations.remote import HostRunner, command
from tailwart.plan import render
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle.assembly import server
from tailwart.stalwart.lifecycle.bootstrap import prepare, prepared
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.settings.declaration import from_environment
from tailwart.stalwart.settings.groupdata import GROUP_DATA


@operation()
def prepare_bootstrap(environment: Environment) -> Generator[FunctionCommand, None, None]:
    """The environment file of the server's first start: a random administrator until the server is initialised.

    Runs before `compose.up`. It also removes what an interrupted `tailwart recover` left in that file.
    """
    del environment  # the same for every installation
    host = ctx_host.get()
    if prepared(HostRunner(host)):
        host.noop("the server's first start is prepared, or over")
        return
    yield command(host, prepare, "prepare the server's first start")


@operation()
def apply_settings(environment: Environment) -> Generator[FunctionCommand, None, None]:
    """Make Stalwart's settings as declared: read, plan, write, restart only when needed, verify.

    The declaration is `.env` and the `mailbox_…` names of `group_data/mailbox.py`, which pyinfra puts into the host's
    data. Raises TailwartError while preparing when the declaration or the server's answer is not usable.
    """
    host = ctx_host.get()
    settings = from_environment(environment, {name: host.data.get(name) for name in GROUP_DATA})

    observed = server(HostRunner(host), host, environment, settings, host.log).observe()
    for certificate in observed.certificates:
        if certificate.failure:
            host.log(f"! {certificate.message()}")
    if observed.up_to_date:
        host.noop("Stalwart's settings are up to date")
        return
    if host.state.is_executing or host.state.config.DIFF:
        for line in render(observed.planned.document(observed.live or Live({}))).splitlines():
            host.log(line)

    # Outside a running deploy this is preparation: operations before this one are still to change the host, so what was
    # observed now is read again then.
    current = observed if host.state.is_executing else None

    def work(run: Runner) -> None:
        server(run, host, environment, settings, host.log).apply(current)

    yield command(host, work, "apply Stalwart's settings")
