"""The facts of a host, and the parser of the lines they come in. Pure: no pyinfra, no host."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

HEADER = "tailwart-host-report 1"
TRAILER = "tailwart-host-report end"

_KEYWORDS = frozenset(("path", "sha256", "content", "engine", "unit", "container", "probe", "fingerprint"))
_STARTED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")


class ReportError(ValueError):
    """The host's answer is not a complete report: cut off, or something else printed into it."""


@dataclass(frozen=True, slots=True)
class PathState:
    """A file, directory or other thing at one path. ``mode`` has four octal digits, ``owner`` is ``user:group``."""

    kind: str
    mode: str
    owner: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Engine:
    """The container engine: ``version`` is empty when the daemon does not answer, ``compose`` without Compose v2.

    ``identity`` changes whenever the daemon's process does; empty when no daemon runs under systemd. ``experimental``
    is the setting of the running daemon, whatever daemon.json says. ``enabled``: systemd starts it at boot.
    """

    present: bool = False
    version: str = ""
    experimental: bool = False
    compose: str = ""
    enabled: bool = False
    identity: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a Compose project.

    ``health`` is empty when it has no healthcheck; ``variables`` are the names in its environment, without values.
    ``fingerprint`` is a digest of what it was made from: equal for equal settings, whatever containers came and went.
    """

    service: str
    name: str
    identifier: str
    state: str
    health: str
    exit_code: int
    inputs: str
    started_at: tuple[str, int]
    network_mode: str
    variables: frozenset[str] = frozenset()
    fingerprint: str = ""

    @property
    def healthy(self) -> bool:
        """Running, and neither unhealthy nor without a first result of its healthcheck."""
        return self.state == "running" and self.health in ("", "none", "healthy")


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of a role's own command: exit code and standard output."""

    exit_code: int
    output: bytes


@dataclass(frozen=True, slots=True)
class HostReport:
    """The facts of one host. Paths that do not exist are absent from ``paths``."""

    paths: Mapping[str, PathState] = field(default_factory=dict)
    contents: Mapping[str, bytes] = field(default_factory=dict)
    engine: Engine = field(default_factory=Engine)
    containers: tuple[Container, ...] = ()
    probes: Mapping[str, Probe] = field(default_factory=dict)

    def container(self, service: str) -> Container | None:
        """The service's container, if there is exactly one."""
        found = [container for container in self.containers if container.service == service]
        return found[0] if len(found) == 1 else None


def parse(lines: Iterable[str]) -> HostReport:
    """A report from the script's output lines (tab-separated: a keyword, then its fields).

    Raises `ReportError` when the frame is incomplete or a line is malformed; noise before the header (a login
    banner, a warning of the shell) is skipped.
    """
    rows = _framed(lines)
    kinds: dict[str, list[list[str]]] = {}
    for keyword, *fields in rows:
        kinds.setdefault(keyword, []).append(fields)
    unknown = set(kinds) - _KEYWORDS
    if unknown:
        raise ReportError(f"unexpected line in the host report: {sorted(unknown)[0]!r}")
    hashes = {path: digest for digest, path in _each(kinds, "sha256", 2)}
    prints = {fields[0]: fields[1] for fields in _each(kinds, "fingerprint", 2)}
    return HostReport(
        paths={
            path: PathState(_kind(kind), mode.zfill(4), owner, hashes.get(path, ""))
            for kind, mode, owner, path in _each(kinds, "path", 4)
        },
        contents={path: _decoded(content) for content, path in _each(kinds, "content", 2)},
        engine=_engine(kinds),
        containers=tuple(_container(fields, prints) for fields in _each(kinds, "container", 10)),
        probes={name: Probe(_number(code), _decoded(output)) for name, code, output in _each(kinds, "probe", 3)},
    )


def started(text: str) -> tuple[str, int]:
    """An engine's timestamp in a form that sorts: Go leaves out trailing zeros, so the text itself does not."""
    found = _STARTED.fullmatch(text)
    if found is None:
        raise ReportError(f"not a timestamp of the container engine: {text!r}")
    return found[1], int((found[2] or "0").ljust(9, "0"))


def _framed(lines: Iterable[str]) -> list[list[str]]:
    rows = [line.split("\t") for line in lines]
    try:
        start = rows.index([HEADER])
        end = rows.index([TRAILER], start)
    except ValueError:
        raise ReportError("the host's report is cut off: the shell ended before it was complete") from None
    return [row for row in rows[start + 1 : end] if row != [""]]


def _each(kinds: Mapping[str, list[list[str]]], keyword: str, count: int) -> list[list[str]]:
    rows = kinds.get(keyword, [])
    for row in rows:
        if len(row) != count:
            raise ReportError(f"{keyword!r} line of the host report has {len(row)} fields, expected {count}")
    return rows


def _kind(description: str) -> str:
    if description in ("regular file", "regular empty file"):
        return "file"
    return description


def _engine(kinds: Mapping[str, list[list[str]]]) -> Engine:
    engine = _last(kinds, "engine", 4)
    unit = _last(kinds, "unit", 2)
    if engine is None:
        return Engine()
    version, experimental, compose, error = engine
    enabled, identity = unit or ["", ""]
    return Engine(
        present=True,
        version=version,
        experimental=experimental == "true",
        compose=compose.removeprefix("v"),
        enabled=enabled in ("enabled", "enabled-runtime", "static", "alias"),
        identity=identity,
        error=_decoded(error).decode(errors="replace").strip(),
    )


def _last(kinds: Mapping[str, list[list[str]]], keyword: str, count: int) -> list[str] | None:
    rows = _each(kinds, keyword, count)
    return rows[-1] if rows else None


def _container(fields: list[str], prints: Mapping[str, str]) -> Container:
    service, name, identifier, state, health, exit_code, inputs, start = fields[:8]
    network, variables = fields[8:]
    return Container(
        service=service,
        name=name.removeprefix("/"),
        identifier=identifier,
        state=state,
        health=health,
        exit_code=_number(exit_code),
        inputs=_absent(inputs),
        started_at=started(start),
        network_mode=network,
        variables=frozenset(variables.split()),
        fingerprint=prints.get(identifier, ""),
    )


def _absent(value: str) -> str:
    # What a Go template prints for a label that is not there.
    return "" if value == "<no value>" else value


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ReportError(f"not a number in the host report: {text!r}") from None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ReportError("a base64 field of the host report does not decode") from None
