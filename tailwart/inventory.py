"""The inventory as data: which role is there, under which name, reached how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tailwart.connectors.ssh import ssh_data
from tailwart.environment import Environment

InventoryHost = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Role:
    """One group of the inventory. ``absence`` says why it has no host."""

    name: str
    hosts: tuple[InventoryHost, ...]
    absence: str = ""

    @property
    def inventory(self) -> list[InventoryHost]:
        """The hosts as pyinfra's inventory has them: each under the name of its connector, which drops that part."""
        return [(name if name.startswith("@") else host_name(name), data) for name, data in self.hosts]


def host_name(name: str) -> str:
    """The name in pyinfra's inventory of a host that is reached over SSH (`tailwart.connectors.host`)."""
    return f"@host/{name}"


def roles(environment: Environment) -> tuple[Role, ...]:
    """The five groups in deploy order; a role without its settings has no host and is skipped."""
    return (
        _role("tailnet", _tailnet(environment), "neither TS_OAUTH_CLIENT_ID nor TS_API_KEY is set"),
        _role("backends", _backends(environment), "BACKENDS_SSH is not set"),
        _role("mailbox", _mailbox(environment), "MAILBOX_SSH is not set"),
        _role("edge", _edges(environment), "EDGES is not set"),
        _role("dns", _dns(environment), "DNS_PROVIDER is none"),
    )


def _role(name: str, hosts: Iterator[InventoryHost], absence: str) -> Role:
    found = tuple(hosts)
    return Role(name, found, "" if found else absence)


def _tailnet(env: Environment) -> Iterator[InventoryHost]:
    if env.ts_oauth_client_id or env.ts_api_key:
        yield "@plane/tailnet", {"environment": env}


def _backends(env: Environment) -> Iterator[InventoryHost]:
    if env.backends_ssh:
        yield "backends", {"environment": env, **ssh_data(env, env.backends_ssh)}


def _mailbox(env: Environment) -> Iterator[InventoryHost]:
    if env.mailbox_ssh:
        yield "mailbox", {"environment": env, **ssh_data(env, env.mailbox_ssh)}


def _edges(env: Environment) -> Iterator[InventoryHost]:
    for edge in env.edges:
        yield edge.name, {"environment": env, "edge": edge, **ssh_data(env, edge.ssh)}


def _dns(env: Environment) -> Iterator[InventoryHost]:
    if env.dns_provider != "none":
        yield "@plane/dns", {"environment": env}
