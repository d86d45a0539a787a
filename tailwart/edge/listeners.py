"""Who listens on a host's TCP ports, from the output of ``ss -Hlntp``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tailwart.errors import TailwartError

_PROCESS = re.compile(r'\("((?:[^"\\]|\\.)*)",pid=(\d+)')

# Debian's standard installation brings exim; the others are what people try first.
_REMEDIES = {
    "exim4": "systemctl disable --now exim4",
    "master": "systemctl disable --now postfix",
    "sendmail-mta": "systemctl disable --now sendmail",
    "dovecot": "systemctl disable --now dovecot",
    "docker-proxy": "find the container with `docker ps` and remove its published port",
    "nginx": "move nginx's TLS sites to another port, or use a host of its own for the edge",
    "apache2": "move Apache's TLS sites to another port, or use a host of its own for the edge",
}


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


def refusal(taken: Collection[Listener]) -> TailwartError:
    """The error that names each process in the way, and how to stop it."""
    seen = sorted(
        {f"{item.process or 'an unknown process'} (pid {item.pid}) on {item.address}:{item.port}" for item in taken}
    )
    remedies = {
        _REMEDIES.get(item.process, f"stop {item.process or 'it'} or move it to another port") for item in taken
    }
    return TailwartError(
        "another program listens on a port of the edge",
        seen="; ".join(seen),
        expected=f"nothing but the edge on {', '.join(str(port) for port in sorted({item.port for item in taken}))}",
        remedy="; ".join(sorted(remedies)) + "; then run the deploy again",
    )
