"""Who listens on a host's TCP ports, from the output of ``ss -Hlntp``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tailwart.edge import webservers
from tailwart.errors import TailwartError
from tailwart.network import HTTPS

_PROCESS = re.compile(r'\("((?:[^"\\]|\\.)*)",pid=(\d+)')

# What Debian's standard installation and a provider's image bring, by the name of the process that listens.
_SERVICES = {"exim4": "exim4", "master": "postfix", "sendmail-mta": "sendmail", "dovecot": "dovecot"}
_REMEDIES = {
    **{
        process: f"set EDGE_DISABLE={service} in .env, and the deploy stops and disables it; or, by hand, "
        f"`systemctl disable --now {service}`"
        for process, service in _SERVICES.items()
    },
    "docker-proxy": "find the container with `docker ps` and remove its published port",
}
_WEB_REMEDY = (
    "leave :443 to it with {key}=false (then no MTA-STS and no autoconfig by this edge), or, where it is Caddy, share "
    "the port: …_WEB=/etc/caddy/Caddyfile"
)


_WEBSERVER_REMEDY = (
    "change these lines, reload it and set …_WEB=:8443,proxy (…_WEB=:8443 where it is not to read visitors' addresses "
    "from the edge); or leave :443 to it with {key}=false (then no MTA-STS and no autoconfig by this edge)"
)


@dataclass(frozen=True)
class Listener:
    """One listening socket. ``address`` is ``*`` when it is dual-stack; ``process`` may be empty."""

    address: str
    port: int
    process: str = ""
    pid: int = 0


def parse(lines: Iterable[str]) -> tuple[Listener, ...]:
    """Every listening socket, once per process that holds it; lines of another shape are skipped."""
    found = []
    for line in lines:
        fields = line.split()
        if len(fields) < 5 or fields[0] != "LISTEN":
            continue
        address, _, port = fields[3].rpartition(":")
        if not port.isdecimal():
            continue
        holders = _PROCESS.findall(line) or [("", "0")]
        found += [Listener(address, int(port), name, int(pid)) for name, pid in holders]
    return tuple(found)


def missing(listeners: Collection[Listener], ports: Iterable[int]) -> list[str]:
    """The ports that do not listen on every address of a family, as ``25/IPv6``."""
    gaps = []
    for port in ports:
        addresses = {listener.address for listener in listeners if listener.port == port}
        if "*" not in addresses:
            gaps += [f"{port}/IPv4"] if "0.0.0.0" not in addresses else []  # noqa: S104 - what ss prints
            gaps += [f"{port}/IPv6"] if "[::]" not in addresses else []
    return gaps


def foreign(listeners: Iterable[Listener], ports: Collection[int], own: int) -> tuple[Listener, ...]:
    """Sockets on the edge's ports that do not belong to its own process ``own`` (0 when it does not run).

    One on loopback counts as well: the kernel refuses the wildcard address beside it.
    """
    return tuple(item for item in listeners if item.port in ports and (own == 0 or item.pid != own))


def services(taken: Iterable[Listener]) -> tuple[str, ...]:
    """The systemd services among them that may be disabled where `EDGE_DISABLE` says so; empty unless all are."""
    names = [_SERVICES.get(item.process, "") for item in taken]
    return tuple(dict.fromkeys(names)) if all(names) else ()


def refusal(taken: Collection[Listener], https_key: str = "…_HTTPS", lines: str = "") -> TailwartError:
    """The error that names each process in the way, and how to stop it.

    ``https_key`` is this edge's key in .env, ``lines`` what `webservers.WHERE` has found.
    """
    seen = sorted(
        {f"{item.process or 'an unknown process'} (pid {item.pid}) on {item.address}:{item.port}" for item in taken}
    )
    if moves := webservers.moves(lines):
        seen += moves
    return TailwartError(
        "another program listens on a port of the edge",
        seen="\n".join(seen) if moves else "; ".join(seen),
        expected=f"nothing but the edge on {', '.join(str(port) for port in sorted({item.port for item in taken}))}",
        remedy="; ".join(sorted({_remedy(item, https_key) for item in taken})) + "; then run the deploy again",
    )


def _remedy(item: Listener, https_key: str) -> str:
    if item.process in _REMEDIES:
        return _REMEDIES[item.process]
    if item.port == HTTPS.port:
        return (_WEBSERVER_REMEDY if item.process in webservers.PROGRAMS else _WEB_REMEDY).format(key=https_key)
    return f"stop {item.process or 'it'} or move it to another port"
