"""Which containers of a host are the mailbox and its sidecar, and what its store is. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tailwart import releases
from tailwart.adoption.containers import STOPPED_NAME, Container, containers, prefixes
from tailwart.adoption.looking import Look
from tailwart.adoption.transfers import STATE, Transfer, transfers
from tailwart.errors import TailwartError
from tailwart.mailbox import names


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the tailnet, as its own `tailscale status` says."""

    name: str = ""
    tags: tuple[str, ...] = ()
    peers: Mapping[str, str] = field(default_factory=dict)
    """Tailnet address → full name of every peer that it sees."""

    @property
    def label(self) -> str:
        """The host part of its name."""
        return self.name.partition(".")[0]

    @property
    def tailnet(self) -> str:
        """The rest of its name."""
        return self.name.partition(".")[2]


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The installation on a mailbox host. ``store`` is what config.json says; it may hold a secret."""

    stalwart: Container
    sidecar: Container
    node: Node
    store: Mapping[str, Any] = field(repr=False)
    version: str
    owner: str
    prefixes: tuple[Any, ...]
    starts: tuple[str, ...]
    """Units of systemd that name the project's folder: they may start it at boot."""
    built: frozenset[str] = frozenset()
    """Variables that the server's image brings along."""

    @property
    def embedded(self) -> str:
        """The path of an embedded store; empty for Postgres."""
        return str(self.store.get("path") or "") if self.store.get("@type") == "RocksDb" else ""

    @property
    def state_directory(self) -> str:
        """Where the sidecar keeps its node key; empty where it keeps none."""
        place = self.sidecar.environment.get("TS_STATE_DIR", "") or STATE
        return place if self.sidecar.mount_of(place) is not None else ""

    @property
    def transfers(self) -> tuple[Transfer, ...]:
        """What has to move into the deploy's volumes; raises `TailwartError` as there."""
        return transfers(self.stalwart, self.sidecar, self.embedded, self.state_directory)

    def describe(self) -> list[str]:
        """Lines for the operator, without secrets."""
        kind = self.store.get("@type")
        where = f"database {self.store.get('database')} at {self.store.get('host')}"
        if kind == "RocksDb":
            mount = self.stalwart.mount_of(self.embedded)
            where = f"embedded store in {mount[0].volume or mount[0].source}" if mount else "embedded store"
        state = self.sidecar.mount_of(self.state_directory) if self.state_directory else None
        return [
            f"Stalwart {self.version} in {self.stalwart.directory or 'no Compose project'} "
            f"(container {self.stalwart.name}, image {self.stalwart.image}), {where}",
            f"sidecar {self.sidecar.name}, node {self.node.name or 'without a name'}"
            + "".join(f", {tag}" for tag in self.node.tags)
            + (f", state in {state[0].volume or state[0].source}" if state else ""),
        ]


def mailbox(look: Look) -> Mailbox:
    """The mailbox on a host; raises `TailwartError` where there is none that can be taken over."""
    every = containers(look.text("containers"))
    servers = [item for item in every if item.running and _store(look, item)]
    ours = [item for item in servers if item.project == names.PROJECT]
    if ours:
        raise TailwartError(
            "the mailbox on this host is one of this deploy's already",
            seen=f"container {ours[0].name} of the project {names.PROJECT}",
            remedy="pyinfra inventory.py deploy.py",
        )
    if len(servers) != 1:
        raise TailwartError(
            "there is not exactly one Stalwart that runs on the mailbox host",
            seen=", ".join(item.name for item in servers) or _stopped(every),
            expected="one running container with a config.json of Stalwart 0.16",
            remedy="start the one to take over, stop the others, then run this again",
        )
    stalwart = servers[0]
    sidecar = next((item for item in every if item.identifier == stalwart.shares), None)
    if sidecar is None or not sidecar.running:
        raise TailwartError(
            "Stalwart is not in the network of a Tailscale sidecar",
            seen=f"network_mode of {stalwart.name}: {stalwart.network_mode or 'not set'}",
            expected="network_mode: service:NAME, where NAME runs tailscaled",
            remedy="docs/adopt.md says what can be taken over; otherwise make a new mailbox and move the mail by IMAP",
        )
    if gone := [item.name for item in (stalwart, sidecar) if item.vanishes]:
        raise TailwartError(
            "a container would be gone once it is stopped, and with it the way back",
            seen=f"{', '.join(gone)}: started with --rm",
            expected="containers of a Compose project",
            remedy="start them without --rm, then run this again",
        )
    version = releases.find(look.of("version", stalwart.identifier)) or releases.find(stalwart.image)
    if version and not releases.supported(version):
        raise TailwartError(
            f"Stalwart {version} cannot be taken over",
            seen=f"version {version} in {stalwart.name}",
            expected=releases.SUPPORTED.name,
            remedy="docs/upgrade.md",
        )
    owner = look.of("owner", stalwart.identifier).split()
    return Mailbox(
        stalwart,
        sidecar,
        node(look.of("node", sidecar.identifier)),
        _store(look, stalwart),
        version,
        ":".join(owner[:2]) if len(owner) >= 2 else "",
        prefixes(look.text("networks")),
        _starts(look.text("units"), stalwart.directory),
        frozenset(line.partition("=")[0] for line in _lines(look.of("built", stalwart.identifier))),
    )


def node(text: str) -> Node:
    """What `tailscale status --json` says; an empty one for anything else."""
    status = _json(text)
    me = status.get("Self")
    if not isinstance(me, Mapping):
        return Node()
    peers = {}
    others = status.get("Peer")
    for peer in others.values() if isinstance(others, Mapping) else ():
        if isinstance(peer, Mapping):
            for address in _texts(peer.get("TailscaleIPs")):
                peers[address] = str(peer.get("DNSName") or "").rstrip(".").lower()
    return Node(str(me.get("DNSName") or "").rstrip(".").lower(), _texts(me.get("Tags")), peers)


def _store(look: Look, container: Container) -> Mapping[str, Any]:
    found = _json(look.of("config", container.identifier))
    return found if isinstance(found.get("@type"), str) else {}


def _stopped(every: tuple[Container, ...]) -> str:
    left = [item.name for item in every if "stalwart" in item.image or item.name.endswith(STOPPED_NAME)]
    return f"none that runs; there is {', '.join(left)}" if left else "none"


def _starts(text: str, directory: str) -> tuple[str, ...]:
    if not directory:
        return ()
    units = (line.partition(" ") for line in text.splitlines())
    return tuple(dict.fromkeys(path.rpartition("/")[2] for path, _, line in units if directory in line))


def _lines(text: str) -> tuple[str, ...]:
    try:
        return _texts(json.loads(text))
    except (ValueError, RecursionError):
        return ()


def _json(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()
