"""From what was found on the hosts to the keys of `.env`, and what could not be found out. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Network, ip_address
from typing import Any

from tailwart import providers
from tailwart.adoption.found import Mailbox
from tailwart.environment.load import problem_of, secret_keys
from tailwart.fields import SECRET_PREFIX
from tailwart.mailbox import names
from tailwart.network import TAILNET_V4, TAILNET_V6
from tailwart.stalwart.protocol.values import MASKED, TYPE

_OAUTH = re.compile(r"tskey-client-(?P<id>[A-Za-z0-9]+)-[A-Za-z0-9]+")
_DEFAULT_ULA = IPv6Network("fd00:7a17:600d::/64")
_OWN = re.compile(r"(STALWART|CONFIG|RUST|PATH|HOME|HOSTNAME|LANG|LC|TZ|DEBIAN)(_|$)")
_RECOVERY = (names.ENV_RECOVERY_ADMIN, names.ENV_RECOVERY_MODE)


@dataclass(slots=True)
class Description:
    """Keys of `.env` with their values, keys that could not be found out, and remarks for the operator."""

    values: dict[str, str] = field(default_factory=dict, repr=False)
    unknown: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def put(self, key: str, value: object) -> None:
        """A key whose value is known; one that `.env` could not hold becomes an unknown one."""
        text = str(value).strip()
        if not text:
            return
        problem = problem_of({**self.values, key: text}, key)
        if problem is not None:
            self.miss(key, f"the installation's value is not one that .env takes: expected {problem.expected}")
            return
        self.values[key] = text

    def miss(self, key: str, why: str = "") -> None:
        """A key that has to be set by hand."""
        if key not in self.unknown:
            self.unknown.append(key)
        if why:
            self.remarks.append(f"{key}: {why}")


def merged(existing: Mapping[str, str], found: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """What is to be added to a `.env`, and what it says otherwise than the installation; secrets are not shown."""
    added = {key: value for key, value in found.items() if key not in existing}
    hidden = secret_keys({**existing, **found})
    lines = []
    for key, value in found.items():
        if key in existing and existing[key] != value:
            shown = f"{key}: .env says {existing[key] or 'nothing'}, found {value}"
            lines.append(f"{key}: .env has another value" if key in hidden else shown)
    return added, lines


def of_mailbox(found: Mailbox) -> Description:
    """What the mailbox host says by itself, without a login to the server."""
    said = Description()
    _images(said, found)
    _tailnet(said, found)
    _store(said, found)
    _network(said, found.prefixes)
    _variables(said, {k: v for k, v in found.stalwart.environment.items() if k not in found.built})
    for unit in found.starts:
        said.remarks.append(f"{unit} names the old project's folder: disable it, or it may start both at the next boot")
    return said


def _images(said: Description, found: Mailbox) -> None:
    said.put("STALWART_IMAGE", found.stalwart.image)
    said.put("TAILSCALE_IMAGE", found.sidecar.image)
    if "TAILSCALE_IMAGE" in said.unknown:
        # Any release goes on with the state of another; which one is no question for the operator.
        said.unknown.remove("TAILSCALE_IMAGE")
        said.remarks.append("TAILSCALE_IMAGE: the deploy's own default takes the place of an image without a version")


def _tailnet(said: Description, found: Mailbox) -> None:
    environment = found.sidecar.environment
    if found.node.tailnet:
        said.put("TS_TAILNET", found.node.tailnet)
        said.put("STALWART_MAGIC_NAME", found.node.label)
    else:
        said.miss("TS_TAILNET", "the sidecar does not say which node it is")
    if found.node.tags:
        said.put("TAG_STALWART", found.node.tags[0])
    for word in _words(environment.get("TS_EXTRA_ARGS", "")):
        option, _, value = word.lstrip("-").partition("=")
        if option == "login-server":
            said.put("TS_LOGIN_SERVER", value)
    key = environment.get("TS_AUTHKEY") or environment.get("TS_AUTH_KEY") or ""
    if client := _OAUTH.search(key):
        said.put("TS_OAUTH_CLIENT_ID", client["id"])
        said.put("TS_OAUTH_CLIENT_SECRET", client[0])
        said.remarks.append("the sidecar's OAuth client is taken over: it needs the scopes policy_file and auth_keys")
    if "ephemeral=true" in key:
        said.remarks.append("the node may be an ephemeral one: docs/hosts.md has the steps that make it stay")
    if not found.state_directory:
        said.remarks.append("the sidecar keeps no state in a mount: its node joins again, under a name that is free")


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _store(said: Description, found: Mailbox) -> None:
    store = found.store
    if found.embedded:
        said.put("STALWART_STORE", "rocksdb")
        return
    if store.get(TYPE) != "PostgreSql":
        said.miss("STALWART_STORE", f"{store.get(TYPE)} is no store that this deploy knows")
        return
    said.put("STALWART_STORE", "postgres")
    said.put("STALWART_DB_HOST", _full_name(said, "STALWART_DB_HOST", str(store.get("host") or ""), found))
    said.put("STALWART_DB_PORT", store.get("port") or 5432)
    said.put("STALWART_DB_NAME", store.get("database") or "")
    said.put("STALWART_DB_USER", store.get("authUsername") or "")
    secret(said, "STALWART_DB_PASSWORD", store.get("authSecret"), found.stalwart.environment)


def _full_name(said: Description, key: str, host: str, found: Mailbox) -> str:
    """A node's full name for a tailnet address or a bare name (lesson 6)."""
    try:
        address = ip_address(host)
    except ValueError:
        return host if "." in host or not found.node.tailnet else f"{host}.{found.node.tailnet}"
    name = found.node.peers.get(str(address), "")
    if name:
        said.remarks.append(f"{key}: {name} takes the place of the address {host} (lesson 6)")
    elif address in (TAILNET_V4 if address.version == 4 else TAILNET_V6):
        said.miss(key, f"{host} is a tailnet address of a node without a name here (lesson 6)")
        return ""
    return name or host


def secret(said: Description, key: str, value: object, environment: Mapping[str, str]) -> None:
    """A secret of the server's: a reference to a variable of its container, or a literal one."""
    if isinstance(value, Mapping):
        if value.get(TYPE) == "None":
            return
        if value.get(TYPE) == "EnvironmentVariable":
            variable = str(value.get("variableName") or "")
            value = environment.get(variable, "")
            if not value:
                said.miss(key, f"the variable {variable} is not in the container")
                return
        else:
            value = value.get("secret") or value.get("value")
    if not isinstance(value, str) or not value or set(value) == set(MASKED):
        said.miss(key, "the server does not show it")
        return
    said.put(key, value)


def _network(said: Description, taken: Iterable[Any]) -> None:
    networks = [network for network in taken if isinstance(network, IPv6Network)]
    start = int(_DEFAULT_ULA.network_address)
    for number in range(64):
        prefix = IPv6Network((start + (number << 80), 64))
        if not any(prefix.overlaps(network) for network in networks):
            if number:
                said.put("MAILBOX_ULA", prefix)
                said.remarks.append(f"MAILBOX_ULA: {prefix}, because the old project's network has {_DEFAULT_ULA}")
            return


def _variables(said: Description, environment: Mapping[str, str]) -> None:
    known = set(providers.settings())
    for name, value in environment.items():
        if name in _RECOVERY:
            said.remarks.append(f"{name} is set in the old container, which is a back door: it is not taken over")
        elif name.lower() in known or name.startswith(SECRET_PREFIX):
            said.put(name, value)
        elif name in _NAMES:
            said.put(_NAMES[name], value)
        elif name != names.ENV_DB and not _OWN.match(name):
            said.remarks.append(
                f"the container has a variable {name}: a setting of the server that refers to it needs {SECRET_PREFIX}…"
            )


_NAMES: dict[str, str] = {
    names.ENV_SMARTHOST: "SMARTHOST_PASSWORD",
    names.ENV_S3: "S3_SECRET_KEY",
    names.ENV_LDAP: "LDAP_BIND_PASSWORD",
    names.ENV_WEBHOOK_KEY: "WEBHOOK_KEY",
    names.ENV_WEBHOOK_TOKEN: "WEBHOOK_TOKEN",
    names.ENV_METRICS: "METRICS_PASSWORD",
}
"""The deploy's own names of variables, by chance or because it was here before."""
