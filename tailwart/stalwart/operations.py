"""The settings plane as pyinfra operations of the mailbox role."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import partial
from weakref import WeakKeyDictionary

from pyinfra import logger
from pyinfra.api.command import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.context import ctx_host

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.facts import ahead
from tailwart.facts.host import observe
from tailwart.hosts.project import ComposeProject
from tailwart.hosts.watch import Watch
from tailwart.mailbox import datastore, names
from tailwart.mailbox.datastore import LEAVES
from tailwart.mailbox.render import store_config_text
from tailwart.operations.guard import operation
from tailwart.operations.remote import HostRunner, command
from tailwart.plan import render
from tailwart.report import before, detail
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle import bootstrap, second_server
from tailwart.stalwart.lifecycle.assembly import server
from tailwart.stalwart.lifecycle.server import Observed
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.settings import guards
from tailwart.stalwart.settings.declaration import NAMES, from_environment
from tailwart.stalwart.settings.groupdata import GroupData
from tailwart.stalwart.settings.inputs import MailboxSettings
from tailwart.stalwart.settings.restoring import replaced_values

_SETTINGS = "Stalwart's settings"


@dataclass(frozen=True, slots=True)
class _Kept:
    epoch: ahead.Epoch
    observed: Observed


# What the server said last, for as long as nothing was executed since: two operations ask for it.
_kept: WeakKeyDictionary[Host, _Kept] = WeakKeyDictionary()


def expect(host: Host, environment: Environment) -> None:
    """`apply_settings` will ask the server."""
    ahead.announce(host, _SETTINGS, lambda: _observed(host, environment))


@operation()
def keep_data_store(environment: Environment, watch: Watch) -> Generator[FunctionCommand, None, None]:
    """Before anything changes: the data store on which the mailbox runs is that of `.env`, or it is given up by name.

    Given up, the host forgets what was true of that store's server, and the next start is a first one on the new store.
    ``watch`` is the role's; it must hold those of `mailbox.datastore` and `lifecycle.bootstrap`.
    """
    host = ctx_host.get()
    report = observe(host, watch)
    datastore.refuse_half_moved(report.contents.get(names.MOVE_STATE, b"").decode(errors="replace"))
    current = datastore.place(report.contents.get(names.CONFIG, b"").decode(errors="replace"))
    desired = datastore.place(store_config_text(environment))
    given_up = GroupData({LEAVES: host.data.get(LEAVES)}, environment.domain).text(LEAVES)
    # A server that was never set up has nothing that could stay behind.
    if not bootstrap.initialised(report) or not datastore.leaves(current, desired, given_up):
        host.noop("the data store is the one on which the mailbox runs")
        return
    host.log(f"! {current.name} is given up for {desired.name}: what is in it stays there", log_func=logger.warning)
    yield command(host, bootstrap.leave, "give the old data store up")


@operation()
def keep_bodies(environment: Environment) -> Generator[FunctionCommand, None, None]:
    """Before anything changes: message bodies are where the server will look for them, or their loss is allowed."""
    host = ctx_host.get()
    try:
        settings, observed = _declared(host, environment), _asked(host, environment)
    except TailwartError:
        # A server that does not answer may be what this deploy is for. The settings refuse the same before they write.
        host.noop("the server does not answer yet")
        return
    guards.bodies(settings, observed.planned.changes, observed.live or Live({}))
    host.noop("message bodies stay where they are")
    yield from ()


@operation()
def prepare_bootstrap(watch: Watch) -> Generator[FunctionCommand, None, None]:
    """The environment file of the server's first start: a random administrator until the server is initialised.

    Runs before `compose.up`. It also removes what an interrupted `tailwart recover` left in that file. ``watch`` is the
    role's, so that its operations share one remote command; it must hold that of `lifecycle.bootstrap`.
    """
    host = ctx_host.get()
    if bootstrap.reported(observe(host, watch)):
        host.noop("the server's first start is prepared, or over")
        return
    yield command(host, bootstrap.prepare, "prepare the server's first start")


@operation()
def take_over(
    environment: Environment, project: ComposeProject, watch: Watch
) -> Generator[FunctionCommand, None, None]:
    """Before the first start on a host: nobody else is at work on the store that it is going to open (lesson 16).

    The store may be full: that of a host that is gone. Then this host goes on where the other one ended.
    """
    host = ctx_host.get()
    report = observe(host, watch)
    started = report.container(names.CONTAINER) is not None or bootstrap.initialised(report)
    if started or environment.stalwart_store != "postgres":
        host.noop("the store is this host's own")
        return

    def work(run: Runner) -> None:
        start = f"docker compose {project.options} up -d --wait --wait-timeout {project.wait_seconds} {names.SIDECAR}"
        up = run(f"cd {project.directory} && flock -w 300 {project.lock_path} {start}", timeout=1200)
        if not up.ok:
            return  # the next operation meets the same, and says what it is

        def pause(seconds: float) -> None:
            run(f"sleep {seconds:g}", timeout=60)

        second_server.refuse_live(
            partial(second_server.clients, host, environment),
            second_server.addresses(run),
            pause,
            host.log,
        )

    yield command(host, work, "look for other servers on the store")


@operation()
def apply_settings(environment: Environment) -> Generator[FunctionCommand, None, None]:
    """Make Stalwart's settings as declared: read, plan, write, restart only when needed, verify.

    The declaration is `.env` and the `mailbox_…` names of `group_data/mailbox.py`, which pyinfra puts into the host's
    data. Raises TailwartError while preparing when the declaration or the server's answer is not usable.
    """
    host = ctx_host.get()
    settings = _declared(host, environment)
    observed = _asked(host, environment)
    for certificate in observed.certificates:
        if certificate.failure:
            host.log(f"! {certificate.message()}")
    if observed.up_to_date:
        host.noop("Stalwart's settings are up to date")
        return
    if host.state.is_executing or host.state.config.DIFF:
        shown = observed.planned.document(observed.live or Live({}))
        detail(host, *render(replace(shown, unmanaged=(), warnings=())).splitlines())
        before(host, *replaced_values(observed.planned.changes))
        for line in render(shown).splitlines():
            host.log(line)

    # Outside a running deploy this is preparation: operations before this one are still to change the host, so what was
    # observed now is read again then.
    current = observed if host.state.is_executing else None

    def work(run: Runner) -> None:
        server(run, host, environment, settings, host.log).apply(current)

    yield command(host, work, "apply Stalwart's settings")


def _declared(host: Host, environment: Environment) -> MailboxSettings:
    return from_environment(environment, {name: host.data.get(name) for name in NAMES})


def _asked(host: Host, environment: Environment) -> Observed:
    """What the server says, asked again unless nothing at all was executed since it was asked last."""
    epoch = ahead.epoch(host.state)
    kept = _kept.get(host)
    if kept is None or kept.epoch != epoch:
        kept = _Kept(epoch, ahead.answer(host, _SETTINGS, lambda: _observed(host, environment)))
        _kept[host] = kept
    return kept.observed


def _observed(host: Host, environment: Environment) -> Observed:
    return server(HostRunner(host), host, environment, _declared(host, environment), host.log).observe()
