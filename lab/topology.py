"""The lab's hosts, networks, addresses and ports. Pure: everything else in `lab` asks here.

Addresses are those of the documentation ranges (RFC 5737, RFC 3849), so nothing of the lab can be mistaken for, or
routed to, a real host.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address

from tailwart.errors import TailwartError

PREFIX = "tailwart-lab"
LABEL = "tailwart.lab"
DOMAIN = "tailwart.test"
OUTSIDE_DOMAIN = "outside.test"
TAILNET = "tailnet.test"
RESOLVER = "198.51.100.23"
REGISTRY = "registry.lab.test"
MAX_EDGES = 8
REGISTRY_PORT = 5000


@dataclass(frozen=True)
class Network:
    """One docker bridge. ``gateway`` is control's address: the engine's own .1 is never anybody's default route."""

    name: str
    v4: str = ""
    v6: str = ""
    gateway_v4: str = ""
    gateway_v6: str = ""

    @property
    def full_name(self) -> str:
        return f"{PREFIX}-{self.name}"

    def address(self, number: int) -> tuple[IPv4Address, IPv6Address]:
        """Host ``number`` of the network; the last hextet reads like the last octet (.23 and ::23)."""
        v4 = IPv4Address(self.v4.split("/")[0]) + number
        v6 = IPv6Address(self.v6.split("/")[0]) + int(str(number), 16)
        return v4, v6


INTERNET = Network("internet", "198.51.100.0/24", "2001:db8:100::/64", "198.51.100.2", "2001:db8:100::2")
HOME = Network("home", "10.77.0.0/24", "2001:db8:200::/64", "10.77.0.2", "2001:db8:200::2")
# Carries the ports published on 127.0.0.1 and nothing else: no masquerading, and no host has a route through it.
MANAGE = Network("manage")
NETWORKS = (INTERNET, HOME, MANAGE)


class Place(Enum):
    """Where a host stands. The router stands on both sides."""

    INTERNET = "internet"
    HOME = "home"
    ROUTER = "router"


@dataclass(frozen=True)
class Host:
    """One host of the lab; ``number`` is the last part of its addresses and of its SSH port."""

    name: str
    number: int
    place: Place
    image: str
    node_tags: tuple[str, ...] = ()
    node_name: str = ""
    publish: tuple[int, ...] = ()
    # Directories that outlive the container when its image changes; gone with `lab down`.
    keeps: tuple[str, ...] = ()
    # Tailnet nodes that the deploy makes on this host: they are gone when it is bare again.
    guests: tuple[str, ...] = ()

    @property
    def container(self) -> str:
        return f"{PREFIX}-{self.name}"

    @property
    def networks(self) -> tuple[Network, ...]:
        return {Place.INTERNET: (INTERNET,), Place.HOME: (HOME,), Place.ROUTER: (INTERNET, HOME)}[self.place]

    @cached_property
    def addresses(self) -> tuple[tuple[Network, IPv4Address, IPv6Address], ...]:
        return tuple((network, *network.address(self.number)) for network in self.networks)

    @property
    def ipv4(self) -> str:
        return str(self.addresses[0][1])

    @property
    def ipv6(self) -> str:
        return str(self.addresses[0][2])

    @property
    def ssh_port(self) -> int:
        return port_base() + self.number

    @property
    def router_v4(self) -> str:
        return "" if self.place is Place.ROUTER else self.networks[0].gateway_v4

    @property
    def router_v6(self) -> str:
        return "" if self.place is Place.ROUTER else self.networks[0].gateway_v6


CONTROL = Host(
    "control",
    2,
    Place.ROUTER,
    "control",
    ("tag:stranger",),
    "stranger",
    (53, 443, REGISTRY_PORT, 8201, 8202, 8203, 14000, 15000),
    # A changed fake API must not cost every node its tailnet and the registry its images.
    ("/var/lib/headscale", "/var/lib/docker-registry"),
)
MAILBOX = Host("mailbox", 10, Place.HOME, "host", guests=("stalwart",))
# Bare, and not on the tailnet: the deploy joins it under its own name and installs the stores.
# Not part of a lab by itself: the bare host that a mailbox moves to (`lab.hosts.spare`).
SPARE = Host("spare", 30, Place.HOME, "host")
BACKENDS = Host("backends", 20, Place.HOME, "node", guests=("backends",))
WORLD = Host("world", 23, Place.INTERNET, "world")
RELAY = Host("relay", 25, Place.INTERNET, "relay", ("tag:mail",), "relay")


def edge(number: int) -> Host:
    """Edge 1 stands on 198.51.100.11, edge 2 on .12. A bare host that is on the tailnet."""
    return Host(f"edge-{number}", 10 + number, Place.INTERNET, "node", ("tag:reverse-proxy",), f"edge-{number}")


def hosts(edges: int = 1) -> tuple[Host, ...]:
    """Every host of a lab with that many edges, in the order of start."""
    if not 1 <= edges <= MAX_EDGES:
        raise TailwartError("--edges is out of range", seen=str(edges), expected=f"1 to {MAX_EDGES}")
    return (CONTROL, WORLD, BACKENDS, RELAY, *(edge(number + 1) for number in range(edges)), MAILBOX)


def host(name: str) -> Host:
    """The host of that name, edge-2 included. Raises TailwartError with the list of names."""
    known = {each.name: each for each in (*hosts(MAX_EDGES), SPARE)}
    if name not in known:
        raise TailwartError(f"no host {name!r} in the lab", expected=", ".join(known))
    return known[name]


def port_base() -> int:
    """First of the ports on 127.0.0.1; LAB_PORT_BASE moves them all (a block of 500)."""
    text = os.environ.get("LAB_PORT_BASE", "22000")
    if not text.isdigit() or not 1024 <= int(text) <= 65000:
        raise TailwartError("LAB_PORT_BASE is no usable port", seen=text, expected="1024 to 65000, for example 22000")
    return int(text)


# Container port → offset from the port base, for what control publishes beside SSH.
_OFFSETS = {53: 53, 443: 443, REGISTRY_PORT: 50, 8201: 81, 8202: 82, 8203: 83, 14000: 90, 15000: 91}


def published(container_port: int) -> int:
    """The port on 127.0.0.1 that leads to this port of control."""
    return port_base() + _OFFSETS[container_port]
