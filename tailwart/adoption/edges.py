"""An edge host changes hands: who serves the mail ports there now, how it stops, and how it comes back.

The new edge's image is built before. It serves at once; resolver, limits and packet filter come with the deploy after
it. An old server that stopped for nothing is started again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from tailwart.adoption import journal as journals
from tailwart.adoption.containers import Container, containers
from tailwart.adoption.handover import name_script, stop_script
from tailwart.adoption.journal import Journal, Old, Step
from tailwart.adoption.looking import Look
from tailwart.edge import listeners
from tailwart.edge.image import CONTAINER
from tailwart.edge.listeners import Listener
from tailwart.environment.keys import edge_key
from tailwart.errors import TailwartError
from tailwart.initial.probes import public
from tailwart.network import DEFAULT_SERVICES, HTTPS, MAIL_SERVICES, Exposure
from tailwart.runner import Runner

MAIL = frozenset(service.port for service in MAIL_SERVICES)
_IDENTIFIER = re.compile(r"[0-9a-f]{64}")
_UNIT = re.compile(r"/([\w@.:\\-]+\.service)\b")
_LOOPBACK = ("127.", "[::1]")


@dataclass(frozen=True, slots=True)
class Server:
    """What serves mail ports: a container or a unit, and its public ports; ``others`` are no edge's."""

    old: Old
    ports: tuple[int, ...]
    others: tuple[int, ...]
    directory: str = ""

    def describe(self) -> str:
        """A line for the operator."""
        what = f"unit {self.old.name}" if self.old.unit else f"container {self.old.name}"
        where = f" of {self.directory}" if self.directory else ""
        also = f"; also on {', '.join(map(str, self.others))}" if self.others else ""
        return f"{what}{where} on {', '.join(map(str, self.ports))}{also}"


@dataclass(frozen=True, slots=True)
class EdgeHost:
    """What was found on an edge host. ``unknown`` are processes on mail ports that are neither container nor unit."""

    name: str
    servers: tuple[Server, ...] = ()
    unknown: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    caddyfile: str = ""
    https_by: str = ""
    """Who answers on :443 where it is none of the servers; empty where nobody does."""
    ours: bool = False

    @property
    def problem(self) -> str:
        """Why its old server is left alone; empty where it can be taken over, or where there is none."""
        if self.unknown:
            return f"{', '.join(self.unknown)} on a mail port is neither a container nor a unit of systemd"
        busy = [server for server in self.servers if server.others]
        return "".join(f"{server.describe()}, which would be gone" for server in busy[:1])

    def values(self) -> dict[str, str]:
        """Keys of `.env` for this edge."""
        ipv4, ipv6 = public(list(self.addresses))
        found = {"ipv4": ipv4, "ipv6": ipv6}
        if self.https_by and self.caddyfile:
            found["web"] = self.caddyfile
        elif self.https_by:
            found["https"] = "false"
        return {edge_key(self.name, key): value for key, value in found.items() if value}


def edge(name: str, look: Look) -> EdgeHost:
    """The edge on a host, from what it has said."""
    every = containers(look.text("containers"))
    holders = _holders(look.text("processes"), every)
    heard = [item for item in listeners.parse(look.text("listeners").splitlines()) if not _inside(item)]
    by_holder: dict[Old, set[int]] = {}
    unknown = []
    for item in heard:
        holder = _published(item, every) or holders.get(item.pid)
        if holder is not None:
            by_holder.setdefault(holder, set()).add(item.port)
        elif item.port in MAIL:
            unknown.append(item.process or "an unknown process")
    serving = {holder: ports for holder, ports in by_holder.items() if ports & MAIL}
    ours = any(holder.name == CONTAINER for holder in serving)
    directories = {item.identifier: item.directory for item in every}
    servers = tuple(
        Server(
            holder,
            tuple(sorted(ports & {*MAIL, HTTPS.port})),
            tuple(sorted(ports - {*MAIL, HTTPS.port})),
            directories.get(holder.identifier, ""),
        )
        for holder, ports in serving.items()
        if holder.name != CONTAINER
    )
    https = [item.process or "somebody" for item in heard if item.port == HTTPS.port]
    shared = bool(https) and not ours and all(HTTPS.port not in ports for ports in serving.values())
    # A web Caddy that an edge of one's own passes :443 on to has moved to another port, and stays behind ours.
    caddyfile = look.text("caddyfile").strip()
    behind = bool(caddyfile) and any(item.process == "caddy" and item.port != HTTPS.port for item in heard)
    return EdgeHost(
        name,
        servers,
        tuple(dict.fromkeys(unknown)),
        tuple(look.text("addresses").split()),
        caddyfile,
        https[0] if shared else ("caddy" if behind else ""),
        ours,
    )


def services(found: Collection[EdgeHost]) -> str:
    """MAIL_SERVICES for what these edges serve; empty where it is the default, or none of them serves anything."""
    served = {port for edge in found for server in edge.servers for port in server.ports}
    public_names = [service.name for service in MAIL_SERVICES if service.port in served]
    usual = [service.name for service in DEFAULT_SERVICES.public]
    if not served or not all(service.port in served for service in MAIL_SERVICES if service.needed):
        return ""
    inside = [f"{service.name}:tailnet" for service in MAIL_SERVICES if service.default is Exposure.TAILNET]
    return "" if public_names == usual else ",".join([*public_names, *inside])


def _inside(item: Listener) -> bool:
    return item.address.startswith(_LOOPBACK)


def _holders(text: str, every: Collection[Container]) -> dict[int, Old]:
    """Process → what started it, by its control group."""
    by_identifier = {item.identifier: item for item in every}
    found = {}
    for line in text.splitlines():
        pid, _, group = line.partition(" ")
        if not (pid.isascii() and pid.isdecimal()):
            continue
        container = next((by_identifier[word] for word in _IDENTIFIER.findall(group) if word in by_identifier), None)
        units = _UNIT.findall(group)
        if container is not None:
            found[int(pid)] = Old(container.name, container.identifier, container.restart)
        elif units and units[-1] not in ("docker.service", "containerd.service"):
            found[int(pid)] = Old(units[-1], unit=True)
    return found


def _published(item: Listener, every: Collection[Container]) -> Old | None:
    """The container whose published port the engine's proxy holds."""
    if item.process != "docker-proxy":
        return None
    holder = next((one for one in every if one.running and item.port in one.published), None)
    return Old(holder.name, holder.identifier, holder.restart) if holder else None


@dataclass(slots=True)
class EdgeHandover:
    """One edge host. ``prepare`` builds the new image, ``activate`` lets it serve, ``remove`` takes it off the host."""

    run: Runner
    journal: Journal
    prepare: Callable[[], None]
    activate: Callable[[], None]
    remove: Callable[[], None]
    log: Callable[[str], None]
    seconds: int = field(default=0, init=False)

    def execute(self) -> None:
        """Until the new edge serves; raises `TailwartError`, with the old one started again."""
        host = self.journal.host
        if self.journal.returning:
            raise TailwartError(
                f"a way back was begun on {host}", remedy="tailwart adopt --back finishes it", seen=journals.path(host)
            )
        if self.journal.step >= Step.SERVING:
            return
        if self.journal.step < Step.STOPPED:
            journals.write(self.run, self.journal)
            self.log(f"{host}: building the new edge's image while the old one serves")
            self.prepare()
            self._note(replace(self.journal, stopped_at=self.journal.stopped_at or self._clock()))
            self._checked(stop(self.journal.old), "stop the old edge")
            self._note(self.journal.at(Step.STOPPED))
        try:
            self.activate()
        except TailwartError as problem:
            self.log(f"{host}: the new edge does not serve: the old one is started again")
            self.back()
            problem.expected = f"{problem.expected or 'an edge that serves'}; the old edge serves again"
            raise
        self.seconds = self._clock() - self.journal.stopped_at
        self._note(self.journal.at(Step.SERVING))
        self.log(f"{host}: the edge serves: {self.seconds} s after the old one stopped")

    def adopted(self) -> None:
        """After a whole deploy."""
        self._note(self.journal.at(Step.ADOPTED))

    def back(self) -> None:
        """The old server has its ports again."""
        self._note(replace(self.journal, returning=True))
        self.remove()
        self._checked(start(self.journal.old), "start the old edge")
        journals.forget(self.run, self.journal)

    def _note(self, journal: Journal) -> None:
        journals.write(self.run, journal)
        self.journal = journal

    def _clock(self) -> int:
        said = self.run("date +%s", timeout=60).stdout.strip()
        return int(said) if said.isdecimal() else 0

    def _checked(self, script: str, doing: str) -> None:
        done = self.run(script, timeout=300)
        if not done.ok:
            raise TailwartError(
                f"could not {doing} on {self.journal.host}",
                seen="\n".join(done.stderr.strip().splitlines()[-3:]) or "no message",
                remedy="fix the error above on the host, then run this again; tailwart adopt --back goes back",
            )


def begin(found: EdgeHost) -> Journal:
    """The journal of a hand-over that is to begin."""
    return Journal(found.name, old=tuple(server.old for server in found.servers))


def stop(old: Collection[Old]) -> str:
    """A script that stops the old servers, and keeps them from starting at boot."""
    units = [f"systemctl disable --quiet --now {item.name}" for item in old if item.unit]
    return "\n".join([stop_script([item for item in old if not item.unit], seconds=20), *units])


def start(old: Collection[Old]) -> str:
    """A script that lets them serve as before."""
    held = [item for item in old if not item.unit]
    lines = [f"docker start {item.identifier} >/dev/null" for item in held]
    units = [f"systemctl enable --quiet --now {item.name}" for item in old if item.unit]
    return "\n".join([name_script(held), *lines, *units])
