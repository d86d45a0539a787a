"""The facts of the running server, read through its container."""

from __future__ import annotations

from dataclasses import replace

from tailwart.checks import keys, limits, measures
from tailwart.checks.mailbox_facts import endpoints
from tailwart.checks.model import CannotLook, NotApplicable
from tailwart.checks.namespace import dial, dialled
from tailwart.checks.server_facts import ServerFacts, prefers_ipv6
from tailwart.connectors.shell import SshRunner
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.stalwart.accounts import bans, queued
from tailwart.stalwart.lifecycle import second_server, version
from tailwart.stalwart.lifecycle.second_server import Client as StoreClient
from tailwart.stalwart.lifecycle.server import Observed, Server
from tailwart.stalwart.mailbox_host import declared
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, fetch, login
from tailwart.stalwart.protocol.jmap import FOUND, MAX_OBJECTS, Call
from tailwart.stalwart.protocol.values import TYPE
from tailwart.stalwart.settings.perimeter import METRICS_PATH, METRICS_USER
from tailwart.supply.issuances import Issuance, issued

_QUEUE_SHOWN = 100
_TASKS = (Call("Task", "query", {"limit": MAX_OBJECTS}), Call("Task", "get", {"ids": FOUND}))


def gather(run: SshRunner, environment: Environment, *, deep: bool = False) -> ServerFacts:
    """Ask the server; ``deep``: the public logs of certificates as well.

    Raises `TailwartError` when it does not run, does not answer or refuses the stored login.
    """
    observed = Server(run, declared(environment), _nothing).observe()
    if observed.live is None or not observed.host.initialised:
        raise TailwartError(
            "no initialised Stalwart runs on the mailbox host",
            seen="no running container, or a server that was never set up",
            remedy="pyinfra inventory.py deploy.py --limit mailbox",
        )
    client = Client(ContainerTransport(run, observed.login))
    *queue, _, tasks = client.call([*queued.reading(_QUEUE_SHOWN), *_TASKS])
    facts = ServerFacts(
        environment,
        observed,
        version.running(run, observed.host.image),
        int(queue[0].arguments.get("total") or 0),
        queued.parse(queue[1].objects),
        {"Task": tuple(tasks.objects)},
        bans.banned(client),
        _others(run, environment, observed),
        _counted(run, environment, observed),
        issued=_issued(environment) if deep else None,
        ipv6_egress=_ipv6_egress(run, environment, observed),
    )
    try:
        return replace(facts, served=keys.ask(environment, facts.dkim_keys))
    except CannotLook:
        # A domain that the server does not know: each check that needs it says so.
        return facts


def _counted(run: SshRunner, environment: Environment, observed: Observed) -> dict[str, float]:
    """The server's counters; nothing where its metrics are off, or refuse the password of `.env` until a deploy."""
    (metrics,) = (observed.live.of("Metrics") if observed.live else ()) or ({},)
    password = environment.metrics_password
    if (metrics.get("prometheus") or {}).get(TYPE) != "Enabled" or password is None:
        return {}
    answer = fetch(run, login(METRICS_USER, password.get_secret_value()), METRICS_PATH)
    return measures.counters(measures.parse(answer)) if answer else {}


def _ipv6_egress(run: SshRunner, environment: Environment, observed: Observed) -> bool | None:
    """Whether PROBE_IPV6 is reached from the namespace; not asked where no route cares."""
    if observed.live is None or not any(map(prefers_ipv6, observed.live.of("MtaRoute"))):
        return None
    probe = next(each for each in endpoints(environment) if each.what == "PROBE_IPV6")
    return dialled(run(dial([(probe.what, probe.host, probe.port)]), timeout=30).stdout).get(probe.what)


def _nothing() -> None:
    """A look recreates nothing."""


def _issued(environment: Environment) -> dict[str, list[Issuance]] | TailwartError | None:
    try:
        limits.applies(environment)
        return {domain: issued(environment.certspotter_url, domain) for domain in environment.domains}
    except NotApplicable:
        return None
    except TailwartError as error:
        return error


def _others(run: SshRunner, environment: Environment, observed: Observed) -> list[StoreClient] | TailwartError:
    if environment.stalwart_store != "postgres":
        return []
    try:
        own = second_server.parse_own(run(second_server.own_addresses(observed.host), timeout=30).stdout)
        return second_server.others(second_server.ask(run.open_session, environment), *own)
    except TailwartError as error:
        return error
