"""The operation of the dns role: read and plan in the body, write in one command (`tailwart.operations.api_plane`)."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from pyinfra import host, inventory
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.operation import operation

from tailwart.connectors.shell import SshRunner
from tailwart.dns.archive import Archive
from tailwart.dns.overrides import Overrides, from_data
from tailwart.dns.plane import Plane, combined
from tailwart.dns.reachability import Vantage, local_vantage, remote_vantage
from tailwart.dns.server import over_ssh
from tailwart.dns.source import ZoneFileSource, absent
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.operations.plane import Prepared, plan_and_apply
from tailwart.operations.remote import HostRunner
from tailwart.providers import Notify
from tailwart.runner import Runner


@operation(is_idempotent=True)
def zones(environment: Environment) -> Generator[PyinfraCommand, None, None]:
    """Bring every mail domain's zone to what the mail system needs, foreign records untouched.

    The owner's decisions are the `dns_…` variables of the host's data (`group_data/dns.py`, `--data`).

    + environment: the installation's settings
    """
    # Read inside, so that a wrong variable fails this host and not the whole run.
    yield from plan_and_apply(lambda: _prepare(environment, from_data(host.data.dict())))


def _prepare(environment: Environment, overrides: Overrides) -> Prepared:
    run = mailbox_runner(environment)
    plane = Plane(
        environment,
        overrides,
        mailbox_source(environment, run),
        Archive(),
        vantages=lambda: vantages(environment, run),
    )
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


def mailbox_source(environment: Environment, run: Runner | None) -> ZoneFileSource:
    """The mail server over its host's SSH connection, when there is one."""
    if run is None:
        return absent("MAILBOX_SSH is not set, so the mail server cannot be asked for its records")
    return over_ssh(run, environment.domains, environment.acme_directory_in_use)


def mailbox_runner(environment: Environment) -> Runner | None:
    """The connection that the run has to the mailbox already, else (as with `--limit dns`) one of its own."""
    if environment.mailbox_ssh is None:
        return None
    connected = inventory.get_host("mailbox", default=None)
    if connected is not None and connected.connected:
        return HostRunner(connected)
    return SshRunner(environment, environment.mailbox_ssh)


def vantages(environment: Environment, run: Runner | None) -> Sequence[Vantage]:
    """From where the edges' IPv6 is looked at: this machine, and the mailbox host, which is another one."""
    places = [local_vantage()]
    if run is not None and environment.mailbox_ssh is not None:
        places.append(remote_vantage("the mailbox host", run, environment.mailbox_ssh.host))
    return places
