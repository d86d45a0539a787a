"""What the container engine still needs, and the merge of daemon.json. Pure: no pyinfra, no host."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from tailwart.errors import TailwartError
from tailwart.hosts.report import HostReport
from tailwart.hosts.watch import DAEMON_JSON, ENGINE_INSTALLING, ENGINE_MARKER

# From 27 on the engine masquerades a network's ULA prefix by itself.
_MASQUERADES_SINCE = 27
# `up --wait-timeout`, and depends_on conditions that fail as soon as the dependency is unhealthy.
_OLDEST_COMPOSE = (2, 17)

IPV6_NAT = {"experimental": True, "ip6tables": True}


@dataclass(frozen=True, slots=True)
class EngineNeeds:
    """What is to be done, in this order; the facts are gathered again after each step."""

    install: bool = False
    compose: bool = False
    start: bool = False
    settings: bytes | None = None
    restart: bool = False
    marker_done: bool = False

    def reasons(self) -> list[str]:
        """The needs in the operator's words."""
        reasons = {
            "container engine and Compose are installed": self.install,
            "Compose v2 is installed": self.compose,
            "the engine is started and enabled": self.start,
            f"{DAEMON_JSON} gets experimental and ip6tables": self.settings is not None,
            "the engine is restarted, it runs without its settings": self.restart,
            "the marker of a finished engine restart is removed": self.marker_done,
        }
        return [reason for reason, needed in reasons.items() if needed]


def needs(report: HostReport, *, ipv6_nat: bool) -> EngineNeeds:
    """What the engine of ``report`` lacks; ``ipv6_nat`` asks for IPv6 egress of containers with ULA addresses.

    Raises `TailwartError` for a Compose that is too old and a daemon.json that is not a JSON object.
    """
    engine = report.engine
    if not engine.present or ENGINE_INSTALLING in report.contents:
        return EngineNeeds(install=True)
    if engine.compose and (version := numbers(engine.compose)) < _OLDEST_COMPOSE:
        raise TailwartError(
            "Docker Compose is too old",
            seen=f"{engine.compose}",
            expected=f"{'.'.join(map(str, _OLDEST_COMPOSE))} or newer" + ("" if version >= (2,) else ", as v2 plugin"),
            remedy="upgrade the package that brought it (docker-compose-plugin, or docker-compose of Debian 13)",
        )
    compose, start = not engine.compose, not engine.version or not engine.enabled
    if not engine.version or not ipv6_nat or numbers(engine.version) >= (_MASQUERADES_SINCE,):
        return EngineNeeds(compose=compose, start=start)
    current = report.contents.get(DAEMON_JSON)
    merged = merge(current)
    marker = report.contents.get(ENGINE_MARKER)
    # A daemon with the identity that the marker names is still the one from before the settings were written.
    pending = marker is not None and marker.decode(errors="replace").strip() in ("", engine.identity)
    restart = merged != current or pending or not engine.experimental
    return EngineNeeds(
        compose=compose,
        start=start,
        settings=merged if merged != current else None,
        restart=restart,
        marker_done=marker is not None and not restart,
    )


def merge(current: bytes | None) -> bytes:
    """daemon.json with the two keys of `IPV6_NAT`; every other key stays, and a file that has both stays as it is.

    Raises `TailwartError` when the file is not a JSON object: it is refused, never replaced.
    """
    try:
        document = json.loads(current) if current and current.strip() else {}
    except ValueError as problem:
        where = f"line {problem.lineno}: {problem.msg}" if isinstance(problem, json.JSONDecodeError) else "not UTF-8"
        raise _refused(where) from None
    if not isinstance(document, dict):
        raise _refused(f"a JSON {type(document).__name__}")
    # `is`, because 1 == True in Python, but not for the engine.
    if current is not None and all(document.get(key) is value for key, value in IPV6_NAT.items()):
        return current
    return (json.dumps({**document, **IPV6_NAT}, indent=2, ensure_ascii=False) + "\n").encode()


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: (26, 1, 5) of ``26.1.5+dfsg1``; raises `TailwartError` when there are none."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", version)
    if found is None:
        raise TailwartError(
            "the container engine reports a version that is not one",
            seen=version,
            expected="numbers, like 26.1.5",
            remedy="look at `docker version` and `docker compose version` on the host",
        )
    return tuple(int(part) for part in found[1].split("."))


def _refused(seen: str) -> TailwartError:
    return TailwartError(
        f"{DAEMON_JSON} is not a JSON object; it was left as it is",
        seen=seen,
        expected='an object like {"log-driver": "json-file"}, into which experimental and ip6tables are merged',
        remedy=f"correct {DAEMON_JSON} on the host (`dockerd --validate` shows the place), then run again",
        lesson=9,
    )
