"""Containers and networks as the engine describes them (`docker inspect`), read from JSON of any shape. Pure."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Network, ip_network
from typing import Any

_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"
_DIRECTORY = "com.docker.compose.project.working_dir"
_FILES = "com.docker.compose.project.config_files"

STOPPED_NAME = "-before-tailwart"
"""Ends the name of a container of the old project once it is stopped."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A directory or file of the host in a container. ``volume`` is its name, empty for a bind mount."""

    source: str
    target: str
    volume: str = ""

    def inside(self, path: str) -> str | None:
        """Where ``path`` of the container is below the target: empty for the target itself, None when elsewhere."""
        target = posixpath.normpath(self.target)
        wanted = posixpath.normpath(path)
        if wanted == target:
            return ""
        prefix = target if target.endswith("/") else f"{target}/"
        return wanted.removeprefix(prefix) if wanted.startswith(prefix) else None


@dataclass(frozen=True, slots=True)
class Container:
    """One container. ``restart`` is its policy as `docker update --restart` takes it; ``published`` are host ports.

    ``vanishes``: the engine removes it when it stops (`docker run --rm`).
    """

    identifier: str
    name: str
    image: str
    running: bool
    network_mode: str
    restart: str
    project: str = ""
    service: str = ""
    directory: str = ""
    files: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    mounts: tuple[Mount, ...] = ()
    published: tuple[int, ...] = ()
    vanishes: bool = False

    @property
    def shares(self) -> str:
        """The identifier of the container whose network it shares; empty where it has its own."""
        kind, _, other = self.network_mode.partition(":")
        return other if kind == "container" else ""

    def mount_of(self, path: str) -> tuple[Mount, str] | None:
        """The mount that holds a path of the container, the deepest one, and the path in it; None: its own layer."""
        holding = [(mount, rest) for mount in self.mounts if (rest := mount.inside(path)) is not None]
        return max(holding, key=lambda pair: len(pair[0].target), default=None)


def containers(text: str) -> tuple[Container, ...]:
    """The containers of `docker inspect`; entries without an id or a name are skipped."""
    found = (_container(item) for item in _list(text) if isinstance(item, Mapping))
    return tuple(item for item in found if item.identifier and item.name)


def prefixes(text: str) -> tuple[IPv6Network, ...]:
    """The IPv6 prefixes of the networks of `docker network inspect`."""
    found: list[IPv6Network] = []
    for network in _list(text):
        for entry in _items(_mapping(_mapping(network).get("IPAM")).get("Config")):
            try:
                prefix = ip_network(str(_mapping(entry).get("Subnet")), strict=False)
            except ValueError:
                continue
            if isinstance(prefix, IPv6Network):
                found.append(prefix)
    return tuple(found)


def _container(item: Mapping[str, Any]) -> Container:
    config, state, host = (_mapping(item.get(name)) for name in ("Config", "State", "HostConfig"))
    labels = {str(key): _text(value) for key, value in _mapping(config.get("Labels")).items()}
    pairs = (str(line).partition("=") for line in _items(config.get("Env")))
    return Container(
        identifier=_text(item.get("Id")),
        name=_text(item.get("Name")).lstrip("/"),
        image=_text(config.get("Image")),
        running=state.get("Running") is True,
        network_mode=_text(host.get("NetworkMode")),
        restart=_restart(_mapping(host.get("RestartPolicy"))),
        project=labels.get(_PROJECT, ""),
        service=labels.get(_SERVICE, ""),
        directory=labels.get(_DIRECTORY, ""),
        files=tuple(part for part in labels.get(_FILES, "").split(",") if part),
        environment={name: value for name, _, value in pairs if name},
        mounts=tuple(_mounts(item.get("Mounts"))),
        published=tuple(sorted(_ports(_mapping(host.get("PortBindings"))))),
        vanishes=host.get("AutoRemove") is True,
    )


def _mounts(value: object) -> list[Mount]:
    found = []
    for item in map(_mapping, _items(value)):
        source, target = _text(item.get("Source")), _text(item.get("Destination"))
        if source.startswith("/") and target.startswith("/"):
            found.append(Mount(source, target, _text(item.get("Name")) if item.get("Type") == "volume" else ""))
    return found


def _restart(policy: Mapping[str, Any]) -> str:
    name, most = _text(policy.get("Name")) or "no", policy.get("MaximumRetryCount")
    return f"{name}:{most}" if name == "on-failure" and isinstance(most, int) and most > 0 else name


def _ports(bindings: Mapping[str, Any]) -> set[int]:
    found = (_text(_mapping(one).get("HostPort")) for value in bindings.values() for one in _items(value))
    return {int(port) for port in found if port.isascii() and port.isdecimal()}


def _list(text: str) -> list[Any]:
    try:
        return _items(json.loads(text))
    except (ValueError, RecursionError):
        return []


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
