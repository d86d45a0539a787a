"""The operation of the dns role: read and plan in the body, write in one command (`tailwart.operations.plane`)."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host, inventory
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.host import Host

from tailwart.connectors.shell import SshRunner
from tailwart.dns.overrides import Overrides, from_data
from tailwart.dns.plane import combined, plane_of
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.operations.guard import operation
from tailwart.operations.plane import Prepared, expect_plan, plan_and_apply
from tailwart.operations.remote import HostRunner
from tailwart.providers.definition import Notify
from tailwart.runner import Runner


def expect(host: Host, environment: Environment) -> None:
    """`zones` will ask the provider, the mail server and the edges."""
    expect_plan(host, lambda: _prepare(environment, from_data(host.data.dict())))


@operation()
def zones(environment: Environment) -> Generator[PyinfraCommand, None, None]:
    """Bring every mail domain's zone to what the mail system needs, foreign records untouched.

    The owner's decisions are the `dns_…` variables of the host's data (`group_data/dns.py`, `--data`).

    + environment: the installation's settings
    """
    # Read inside, so that a wrong variable fails this host and not the whole run.
    yield from plan_and_apply(lambda: _prepare(environment, from_data(host.data.dict())))


def _prepare(environment: Environment, overrides: Overrides) -> Prepared:
    plane = plane_of(environment, overrides, _mailbox_runner(environment))
    provider = plane.open_provider(host.log)
    plans = plane.plans(provider)
    refusal = None
    try:
        plans = plane.guard(plans)
    except TailwartError as error:
        refusal = error

    def carry_out(notify: Notify) -> None:
        for applied in plane.apply(plans.values(), provider, notify):
            for warning in applied.warnings:
                notify(f"not verified: {warning}")

    return Prepared(plan=combined(plans.values()), apply=carry_out, refusal=refusal)


def _mailbox_runner(environment: Environment) -> Runner | None:
    """The connection that the run has to the mailbox already, else (as with `--limit dns`) one of its own."""
    if environment.mailbox_ssh is None:
        return None
    connected = inventory.get_host("mailbox", default=None)
    if connected is not None and connected.connected:
        return HostRunner(connected)
    return SshRunner(environment, environment.mailbox_ssh)
