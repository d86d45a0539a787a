"""Does every edge answer on IPv6 port 25 (or its first), seen from outside its own host?

Only then may an AAAA record lead there: senders that prefer IPv6 do not all fall back (lesson 8).
"""

from __future__ import annotations

import errno
import shlex
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from tailwart.dns.intent import EdgeAddresses
from tailwart.errors import TailwartError
from tailwart.runner import Runner

TIMEOUT = 5.0

# What says something about this machine's network, not about the edge.
_LOCAL = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EACCES, errno.EPERM}


class Reach(StrEnum):
    """What one attempt showed. `UNKNOWN`: it says nothing about the edge."""

    ANSWERS = "answers"
    SILENT = "silent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One connection: how it went, in words."""

    reach: Reach
    detail: str = ""


class Vantage:
    """A place to connect from. ``hosts``: the names and addresses of the machine it stands on."""

    def __init__(
        self,
        label: str,
        connect: Callable[[IPv4Address | IPv6Address, int], Attempt],
        hosts: frozenset[str] = frozenset(),
    ) -> None:
        self.label = label
        self.connect = connect
        self.hosts = hosts

    def probe(self, edge: EdgeAddresses) -> Attempt:
        """The first port of an edge on IPv6, with IPv4 as the control that tells a filtered way from a silent edge."""
        assert edge.ipv6 is not None
        attempt = self.connect(edge.ipv6, edge.port)
        if attempt.reach is not Reach.SILENT or edge.ipv4 is None:
            return attempt
        if self.connect(edge.ipv4, edge.port).reach is Reach.ANSWERS:
            return attempt
        # Neither family answers: the edge is down, or port 25 is filtered on the way. Both say nothing of its IPv6.
        return Attempt(Reach.UNKNOWN, f"{attempt.detail}, and its IPv4 does not answer either")


@dataclass(frozen=True, slots=True)
class Ipv6:
    """The verdict on AAAA records: ``publish``; if not, why, and whether that is a finding or only ignorance."""

    publish: bool
    reason: str = ""
    unknown: bool = False


def judge(edges: Sequence[EdgeAddresses], vantages: Sequence[Vantage]) -> Ipv6:
    """Whether AAAA records may be published: every edge that has an IPv6 address must answer there.

    One without is no reason against: the records of a name lead to those edges alone that have them.
    """
    with_address = [edge for edge in edges if edge.ipv6 is not None]
    if not with_address:
        return Ipv6(publish=False)
    doubts = []
    for edge in with_address:
        attempt, seen_from = _best(edge, vantages)
        if attempt.reach is Reach.SILENT:
            return Ipv6(publish=False, reason=_said(edge, attempt, seen_from))
        if attempt.reach is Reach.UNKNOWN:
            doubts.append(_said(edge, attempt, seen_from))
    return Ipv6(publish=not doubts, reason="; ".join(doubts), unknown=bool(doubts))


def local_vantage() -> Vantage:
    """This machine."""
    names = {socket.gethostname(), "localhost"}
    return Vantage("this machine", connect, frozenset(names))


def remote_vantage(label: str, run: Runner, host: str) -> Vantage:
    """Another host over SSH, with nothing but the bash that every Debian has."""

    def connect_there(address: IPv4Address | IPv6Address, port: int) -> Attempt:
        inner = f"exec 3<>/dev/tcp/{address}/{port}"
        script = f"timeout {TIMEOUT:.0f} bash -c {shlex.quote(inner)} 2>&1; echo exit=$?"
        try:
            done = run(script, timeout=TIMEOUT + 15)
        except (TailwartError, TimeoutError) as error:
            return Attempt(Reach.UNKNOWN, f"{label} cannot be asked ({type(error).__name__})")
        text = done.stdout.strip()
        if text.endswith("exit=0"):
            return Attempt(Reach.ANSWERS)
        if "nreachable" in text or "assign requested" in text:
            return Attempt(Reach.UNKNOWN, "no route to it")
        return Attempt(Reach.SILENT, "connection refused" if "refused" in text else "no answer in time")

    return Vantage(label, connect_there, frozenset({host}))


def connect(address: IPv4Address | IPv6Address, port: int) -> Attempt:
    """One TCP connection from here, closed at once."""
    try:
        socket.create_connection((str(address), port), timeout=TIMEOUT).close()
    except TimeoutError:
        return Attempt(Reach.SILENT, "no answer in time")
    except OSError as error:
        if error.errno in _LOCAL:
            return Attempt(Reach.UNKNOWN, "no route to it")
        return Attempt(Reach.SILENT, (error.strerror or type(error).__name__).lower())
    return Attempt(Reach.ANSWERS)


def _best(edge: EdgeAddresses, vantages: Sequence[Vantage]) -> tuple[Attempt, str]:
    """The clearest of what the places outside the edge's own host see; one that reaches it is enough."""
    own = {str(edge.ipv4), str(edge.ipv6)}
    best, seen_from = Attempt(Reach.UNKNOWN, "there is no other host to ask from"), "here"
    for vantage in vantages:
        if vantage.hosts & own:
            continue
        attempt = vantage.probe(edge)
        if attempt.reach is Reach.ANSWERS:
            return attempt, vantage.label
        if best.reach is Reach.UNKNOWN:
            best, seen_from = attempt, vantage.label
    return best, seen_from


def _said(edge: EdgeAddresses, attempt: Attempt, seen_from: str) -> str:
    return f"{edge.name} on [{edge.ipv6}]:{edge.port} from {seen_from}: {attempt.detail}"
