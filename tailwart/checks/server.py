"""Stalwart itself, by its own API: settings, queue, tasks, certificates, keys, bans, and who else uses its store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from tailwart import releases
from tailwart.checks import certificates
from tailwart.checks.keys import overdue, unserved
from tailwart.checks.model import Book, CannotLook, Found, NotApplicable, Severity
from tailwart.checks.server_facts import ServerFacts, prefers_ipv6
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.network import LOOPBACK, TAILNET_RANGES
from tailwart.stalwart.protocol.failures import LoginRefused
from tailwart.stalwart.protocol.values import TYPE

Network = IPv4Network | IPv6Network

STUCK = timedelta(hours=1)
LONG = 200

SERVER: Book[ServerFacts] = Book("server")
_DEPLOY = "pyinfra inventory.py deploy.py --limit mailbox"


@SERVER.check(
    "login",
    "The administrator's login is accepted",
    remedy="if the password was changed on purpose, put it into .env (STALWART_ADMIN_PASSWORD); else: tailwart recover",
    lesson=17,
    caught=LoginRefused,
)
def _(facts: ServerFacts) -> Found:
    # Facts came by it; a refused one leaves none.
    assert facts.observed.login
    return ()


@SERVER.check(
    "settings",
    "Its settings are those of .env and group data",
    cause="Something was changed in .env or group data and not deployed, or by clicks on the server.",
    remedy="tailwart settings plan, then apply",
)
def _(facts: ServerFacts) -> Found:
    document = facts.observed.planned.document(facts.live)
    yield from (f"{change.kind} {change.name}" for change in document.changes)
    if not document.changes and not facts.observed.up_to_date and not facts.observed.orders:
        yield "something of an earlier run is unfinished"


@SERVER.check(
    "version",
    "It is a release that was tested",
    cause="STALWART_IMAGE names another one.",
    remedy="tailwart settings compat; tailwart outdated; docs/upgrade.md",
    severity=Severity.RECOMMENDED,
)
def _(facts: ServerFacts) -> Found:
    if not facts.running:
        raise CannotLook("the image does not say its release")
    if not releases.supported(facts.running) or releases.numbers(facts.running)[2] > releases.SUPPORTED.default:
        yield f"{facts.running}; tested are {releases.SUPPORTED.name} up to .{releases.SUPPORTED.default}"


@SERVER.check(
    "queue",
    "No message waits for long",
    cause="A remote server, the smarthost or the way to it does not answer.",
    remedy="tailwart queue list, which has every answer; tailwart queue retry when the cause is gone",
)
def _(facts: ServerFacts) -> Found:
    if facts.queue_length > LONG:
        yield f"{facts.queue_length} messages wait"
    for message in facts.queue:
        if message.waits(facts.now) > STUCK.total_seconds():
            for item in message.failing:
                yield f"{message.identifier} to {item.domain}, {item.tries} tries: {item.answer}"


@SERVER.check(
    "tasks",
    "No task of the server's has failed",
    cause="An order of a certificate, maintenance of the store or the like ended for good.",
    remedy=_DEPLOY + ", which orders again; the reason is in `docker logs stalwart`",
)
def _(facts: ServerFacts) -> Found:
    for task in facts.of("Task"):
        status = task.get("status") or {}
        if status.get(TYPE) == "Failed" and "still valid" not in str(status.get("failureReason")):
            yield f"{task.get(TYPE)}: {status.get('failureReason')}"


certificates.enter(SERVER)


@SERVER.check(
    "ipv6-first",
    "Mail to others does not wait for an IPv6 that is not there",
    remedy=f'mailbox_ip_lookup = "v4ThenV6" in group_data/mailbox.py, then {_DEPLOY}; or the way out by IPv6',
    lesson=8,
)
def _(facts: ServerFacts) -> Found:
    first = [str(item.get("name")) for item in facts.of("MtaRoute") if prefers_ipv6(item)]
    if not first:
        return
    if facts.ipv6_egress is None:
        raise CannotLook("whether the namespace reaches the IPv6 internet is not known")
    if not facts.ipv6_egress:
        yield f"route {', '.join(first)} asks for IPv6 first, and the namespace does not reach the IPv6 internet"


@SERVER.check("dkim", "Every mail domain signs with RSA, and with nothing else", remedy=_DEPLOY, lesson=15)
def _(facts: ServerFacts) -> Found:
    for domain in facts.environment.domains:
        active = [item for item in facts.keys(domain) if item.get("stage") == "active"]
        if not active:
            yield f"{domain}: no active key"
        for item in active:
            if "Rsa" not in str(item.get(TYPE)):
                yield f"{domain}: {item.get('selector')} is {item.get(TYPE)}"


@SERVER.check(
    "dkim-served",
    "Every authoritative server serves the keys that sign",
    cause="A new key signs before its record is everywhere: whoever asks that server fails the mail.",
    remedy="pyinfra inventory.py deploy.py --limit dns; then wait for the provider's servers",
)
def _(facts: ServerFacts) -> Found:
    if not facts.dkim_keys:
        raise CannotLook("the server has no DKIM key")
    yield from unserved(facts.dkim_keys, facts.served, facts.now)


@SERVER.check(
    "dkim-rotation",
    "No DKIM key is beyond the end of its stage",
    cause="The server's task that rotates keys does not run or fails.",
    remedy="tailwart settings plan; `docker logs stalwart` on the mailbox host has the reason (DkimManagement)",
    severity=Severity.RECOMMENDED,
)
def _(facts: ServerFacts) -> Found:
    if not facts.dkim_keys:
        raise CannotLook("the server has no DKIM key")
    yield from overdue(facts.dkim_keys, facts.now)


@SERVER.check("ban-allow-list", "The tailnet and the edges are never banned", remedy=_DEPLOY, lesson=3)
def _(facts: ServerFacts) -> Found:
    allowed = [_network(item.get("address")) for item in facts.of("AllowedIp")]
    for text in _never_banned(facts.environment):
        wanted = ip_network(text)
        if not any(item is not None and _within(wanted, item) for item in allowed):
            yield f"{text} is not on the list"


@SERVER.check(
    "no-edge-banned",
    "No edge and no address of the tailnet is banned",
    remedy="tailwart bans list, then tailwart bans lift ADDRESS",
    lesson=3,
)
def _(facts: ServerFacts) -> Found:
    own = [ip_network(text) for text in _never_banned(facts.environment)]
    for ban in facts.bans:
        if any(_within(ban.network, each) or _within(each, ban.network) for each in own):
            yield f"{ban.address} is banned ({ban.reason})"


@SERVER.check(
    "proxy-trust",
    "Every public listener trusts the edges' PROXY header, and no other does",
    cause="Without it all clients seem to be the edge; trusted everywhere, the administration needs a header as well.",
    remedy="tailwart settings apply",
)
def _(facts: ServerFacts) -> Found:
    public = {service.name: service for service in facts.environment.mail_services.public}
    listeners = {str(item.get("name")): item for item in facts.of("NetworkListener")}
    for name in public:
        trusted = _members((listeners.get(name) or {}).get("overrideProxyTrustedNetworks"))
        yield from (f"{name} does not trust {text}" for text in TAILNET_RANGES if text not in trusted)
    for settings in facts.of("SystemSettings"):
        if everywhere := _members(settings.get("proxyTrustedNetworks")):
            yield f"all listeners trust {', '.join(sorted(everywhere))}"


@SERVER.check("one-instance", "One server alone uses the store", remedy="stop the other server", lesson=16)
def _(facts: ServerFacts) -> Found:
    if facts.environment.stalwart_store != "postgres":
        raise NotApplicable("an embedded store has no second user")
    if isinstance(facts.others, TailwartError):
        raise facts.others
    yield from (f"{item.address} has {item.connections} connections" for item in facts.others)


def _never_banned(environment: Environment) -> Iterator[str]:
    yield from TAILNET_RANGES
    for edge in environment.edges:
        yield from (str(address) for address in (edge.ipv4, edge.ipv6) if address is not None)


def _network(value: Any) -> Network | None:
    try:
        return ip_network(str(value), strict=False)
    except ValueError:
        return None


def _within(inner: Network, outer: Network) -> bool:
    return (
        inner.version == outer.version
        and inner.network_address in outer
        and inner.prefixlen >= outer.prefixlen
        and str(inner.network_address) not in LOOPBACK
    )


def _members(value: Any) -> set[str]:
    return {str(item) for item, on in value.items() if on} if isinstance(value, dict) else set()
