"""One look from outside: names at several resolvers, ports, TLS, and what is behind them.

Nothing of the tailnet, no host and no API is asked: names lead to the addresses, as they lead everybody's mail. Each
port is asked once or twice (lesson 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tailwart.checks.public import names, ports, securing, web
from tailwart.checks.public.door import doors as doors_of
from tailwart.dns.authority import locate
from tailwart.dns.check import identity, resolving
from tailwart.dns.check.findings import Finding, unknown
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.network import SMTP


def look(environment: Environment, resolvers: Sequence[str]) -> list[Finding]:
    """Everything once. Raises `TailwartError` where no resolver can be asked."""
    servers, problems = locate(resolvers or resolving.PUBLIC)
    if not servers:
        raise TailwartError("there is no resolver to ask", seen="; ".join(problems), remedy="name one: --resolver")
    through = resolving.resolver(servers[0])
    findings = [unknown("mx", text.split(" ", 1)[0], text, required=False) for text in problems]
    for domain in environment.domains:
        findings += names.check(environment, domain, servers)
    doors = doors_of(environment, through)
    tasks: list[Callable[[], Iterable[Finding]]] = []
    for door in doors:
        tasks.append(partial(ports.answering, door))
        tasks.append(partial(ports.closed, environment, door))
        tasks.append(partial(securing.check, environment, door, through))
        if SMTP in door.services:
            who = identity.Host(door.host, door.address, sends=False)
            tasks.append(partial(identity.check, [who], through))
            tasks.append(partial(resolving.check_reverse, [(door.host, door.address, False)], servers[0]))
            if door.address.version == 4:
                tasks.append(partial(ports.relay, environment, door))
    for domain in environment.domains:
        tasks.append(partial(web.mta_sts, environment, domain, through))
        tasks.append(partial(web.settings, environment, domain, through))
    if environment.jmap_vhost:
        tasks += [partial(web.jmap, environment, door) for door in doors if door.host == environment.mail_host]
    with ThreadPoolExecutor(max_workers=max(1, len(tasks))) as pool:
        for found in pool.map(_finished, tasks):
            findings += found
    return findings


def _finished(task: Callable[[], Iterable[Finding]]) -> list[Finding]:
    return list(task())
