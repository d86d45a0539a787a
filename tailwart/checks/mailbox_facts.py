"""The facts of the mailbox host: one script, its answer, and what the checks ask of it. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from tailwart.backup.names import LAST_BACKUP, LAST_DRILL
from tailwart.checks import hosts, outgoing
from tailwart.checks.hosts import HostFacts
from tailwart.checks.model import CannotLook
from tailwart.checks.namespace import dial, dialled
from tailwart.checks.revision import Code
from tailwart.environment import Environment
from tailwart.hosts.files import HostFile
from tailwart.hosts.project import ComposeProject
from tailwart.hosts.report import HostReport
from tailwart.hosts.watch import Watch
from tailwart.mailbox import follower, names
from tailwart.mailbox.addresses import tailnet_addresses
from tailwart.mailbox.project import compose_project
from tailwart.stalwart.lifecycle.probing import listening

# Of the environment only which variables have a value: a probe's output holds no secret. `.ID` as in `hosts.watch`.
_VARIABLES = (
    '{{range .Config.Env}}{{$parts := split . "="}}{{if gt (len $parts) 1}}{{if index $parts 1}}'
    "{{index $parts 0}} {{end}}{{end}}{{end}}"
)
_SHOWN = (
    '{"name":{{json .Name}},"id":{{json .ID}},"state":{{json .State}},"image":{{json .Config.Image}},'
    '"network_mode":{{json .HostConfig.NetworkMode}},"ports":{{json .HostConfig.PortBindings}},'
    '"mounts":{{json .Mounts}},"networks":{{json .NetworkSettings.Networks}},'
    f'"variables":"{_VARIABLES}"}}'
)
_INSPECT = f"docker inspect --type container --format {shlex.quote(_SHOWN)} {names.SIDECAR} {names.CONTAINER}"
_SOCKETS = "cat /proc/net/tcp /proc/net/tcp6"
_STORE_ERRORS = (
    f"started=$(docker inspect -f '{{{{.State.StartedAt}}}}' {names.CONTAINER}) && "
    f"docker logs --since \"$started\" {names.CONTAINER} 2>&1 | grep -E '\\(store\\.[a-z-]*error\\)' | tail -n 3; true"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Something that the mailbox connects to. ``what`` is the `.env` key or word that people know it by."""

    what: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port} ({self.what})"


def endpoints(environment: Environment) -> Iterator[Endpoint]:
    """Stores, smarthost and the IPv6 probe of this installation."""
    if environment.stalwart_store == "postgres":
        yield Endpoint("STALWART_DB_HOST", str(environment.stalwart_db_host), environment.stalwart_db_port)
    redis = environment.redis_url.get_secret_value() if environment.redis_url else None
    for what, url in (("REDIS_URL", redis), ("S3_ENDPOINT", environment.s3_endpoint)):
        if url:
            parts = urlsplit(str(url))
            standard = {"https": 443, "http": 80}.get(parts.scheme, 6379)
            yield Endpoint(what, str(parts.hostname), int(parts.port or standard))
    if environment.smarthost_address is not None:
        yield Endpoint("SMARTHOST_ADDRESS", str(environment.smarthost_address), environment.smarthost_port)
    address, _, port = environment.probe_ipv6.rpartition(":")
    yield Endpoint("PROBE_IPV6", address.strip("[]"), int(port))


def watch(environment: Environment, *, deep: bool = False) -> Watch:
    """Everything that the checks ask of the host, in one script; ``deep``: what is slow as well."""
    dialled = dial((each.what, each.host, each.port) for each in endpoints(environment))
    compose = f"cd {names.DIRECTORY} && docker compose config --quiet 2>&1"
    network = f"docker network inspect {names.PROJECT}_default"
    probes = (
        ("inspect", _INSPECT),
        ("compose", compose),
        ("network", network),
        ("inside", f"docker exec {names.SIDECAR} {_SOCKETS}"),
        ("outside", _SOCKETS),
        ("http", f"docker exec {names.CONTAINER} curl -fsS -m 10 {names.BASE}/healthz/live 2>&1"),
        ("store-errors", _STORE_ERRORS),
        ("node", f"docker exec {names.SIDECAR} tailscale status --json --peers=false"),
        ("dialled", dialled),
        *hosts.PROBES,
        *(outgoing.probes(environment) if deep else ()),
    )
    project = compose_project(environment)
    notes = (f"{names.DIRECTORY}/{name}" for name in (names.RESTART_REQUIRED, names.RELOAD_REQUIRED))
    lasts = (LAST_BACKUP, LAST_DRILL) if environment.backup_target else ()
    return (
        project.watch
        | follower.WATCH
        | Watch(
            contents=(*notes, *lasts, *(file.path for file in project.files if not file.secret)),
            paths=tuple(f"{names.DIRECTORY}/{name}" for name in secret_files()),
            probes=probes,
        )
    )


def secret_files() -> tuple[str, ...]:
    """Files of the mailbox's directory that hold secrets."""
    return (".env", names.BOOTSTRAP_ENV, names.CREDENTIALS, names.FINGERPRINTS)


@dataclass(frozen=True)
class MailboxFacts(HostFacts):
    """The mailbox host as it is."""

    environment: Environment
    report: HostReport
    asked: datetime
    answered: datetime
    code: Code | None = None

    @property
    def name(self) -> str:
        """The host's name in the inventory."""
        return "mailbox"

    @cached_property
    def project(self) -> ComposeProject:
        """What the host should have."""
        return compose_project(self.environment)

    def document(self, name: str) -> Any:
        """The JSON output of one probe."""
        try:
            return json.loads(self.probe(name))
        except ValueError:
            raise CannotLook(f"{name}: the engine's answer is no JSON") from None

    @cached_property
    def containers(self) -> Mapping[str, dict[str, Any]]:
        """What the engine says of both containers; a missing one is absent."""
        result = self.report.probes.get("inspect")
        if result is None or not self.report.engine.version:
            raise CannotLook("the container engine does not answer")
        try:
            found: list[dict[str, Any]] = [json.loads(line) for line in result.output.splitlines() if line.strip()]
        except ValueError:
            raise CannotLook("the engine's answer about the containers is no JSON") from None
        return {str(item["name"]).lstrip("/"): item for item in found}

    def container(self, name: str) -> dict[str, Any]:
        """One of them; raises `CannotLook` when it does not exist."""
        if name not in self.containers:
            raise CannotLook(f"there is no container {name}")
        return self.containers[name]

    @cached_property
    def published(self) -> set[int]:
        """TCP ports on which the host itself listens, beyond loopback."""
        return listening(self.probe("outside"))

    @cached_property
    def inside(self) -> set[int]:
        """TCP ports on which something listens in the mailbox's namespace, beyond loopback."""
        return listening(self.probe("inside"))

    @cached_property
    def dialled(self) -> Mapping[str, bool]:
        """By `Endpoint.what`: whether it was reached from the namespace."""
        return dialled(self.probe("dialled"))

    def reached(self, endpoint: Endpoint) -> bool:
        """Whether the endpoint answered from the namespace."""
        if endpoint.what not in self.dialled:
            raise CannotLook(f"{endpoint} was not dialled")
        return self.dialled[endpoint.what]

    def last(self, path: str) -> dict[str, Any] | None:
        """How a job of the backup ended last, ``ended`` as a time; None when there was none.

        Raises `CannotLook` for a document that is none.
        """
        content = self.report.contents.get(path)
        if content is None:
            return None
        try:
            document = json.loads(content)
            return {**document, "ended": datetime.fromisoformat(document["ended"])}
        except (ValueError, KeyError, TypeError):
            raise CannotLook(f"{path} cannot be read") from None

    def jobs(self) -> Iterator[tuple[str, datetime, bool]]:
        """Backup and drill: when each ended last, and whether it succeeded."""
        for name, path in (("backup", LAST_BACKUP), ("drill", LAST_DRILL)):
            with suppress(CannotLook):
                if document := self.last(path):
                    yield name, document["ended"], document.get("ok") is True

    def addresses_in_files(self) -> Iterator[str]:
        """`PATH: ADDRESS` for every tailnet address in a rendered file that holds no secret (lesson 6)."""
        for file in self.project.files:
            if not file.secret:
                yield from (f"{file.path}: {address}" for address in tailnet_addresses(self._text(file)))

    def _text(self, file: HostFile) -> str:
        content = self.report.contents.get(file.path)
        return (file.data if content is None else content).decode(errors="replace")
