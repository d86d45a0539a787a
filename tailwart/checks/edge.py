"""An edge host: the program that runs, its configuration, its sockets, and what the tailnet lets it reach."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from tailwart.checks import hosts, relaying
from tailwart.checks.hosts import HostFacts
from tailwart.checks.model import Book, CannotLook, Found, NotApplicable
from tailwart.checks.revision import Code
from tailwart.edge import listeners
from tailwart.edge import plan as edge_plan
from tailwart.edge.image import CONTAINER
from tailwart.edge.listeners import Listener
from tailwart.edge.plan import DIGEST, EdgePlan
from tailwart.environment import Edge, Environment
from tailwart.hosts.report import HostReport
from tailwart.hosts.watch import Watch
from tailwart.network import HTTP, HTTPS, MAIL_SERVICES, Service, ports

_MODULES = frozenset(("layer4", "layer4.handlers.proxy", "layer4.handlers.proxy_protocol"))
_SECONDS = 4


@dataclass(frozen=True)
class EdgeFacts(HostFacts):
    """One edge host as it is."""

    environment: Environment
    edge: Edge
    report: HostReport
    asked: datetime
    answered: datetime
    code: Code | None = None

    @property
    def name(self) -> str:
        """The host's name in the inventory."""
        return self.edge.name

    @cached_property
    def plan(self) -> EdgePlan:
        """What the host should have."""
        return edge_plan.of(self.environment, self.edge)

    @cached_property
    def listeners(self) -> tuple[Listener, ...]:
        """Everything that listens on the host."""
        return listeners.parse(self.probe("listeners").splitlines())

    @cached_property
    def _reached(self) -> Mapping[int, bool]:
        rows = (line.split() for line in self.probe("reach").splitlines())
        return {int(port): code == "0" for port, code in rows}

    def reaches(self, service: Service) -> bool:
        """Whether the mailbox answered this edge on the service's port."""
        if service.port not in self._reached:
            raise CannotLook(f"{service} was not dialled")
        return self._reached[service.port]


def watch(environment: Environment, edge: Edge, *, deep: bool = False) -> Watch:
    """Everything that the checks ask of the host, in one script; ``deep``: what is slow as well."""
    services = (*environment.mail_services.public, HTTPS)
    closed = (HTTP, *environment.mail_services.tailnet)
    reach = _dial(environment.magic_host, ports((*services, *closed)))
    probes = (
        ("state", f"docker inspect --format '{{{{json .State}}}}' {CONTAINER}"),
        ("recorded", f"cut -d ' ' -f 1 {DIGEST}"),
        ("binary", f"docker exec {CONTAINER} sha256sum /usr/bin/caddy"),
        ("modules", f"docker exec {CONTAINER} caddy list-modules"),
        ("valid", f"docker exec {CONTAINER} caddy validate --config /etc/caddy/caddy.json 2>&1"),
        ("reach", reach),
        *hosts.PROBES,
        *(relaying.probes(environment, edge) if deep else ()),
    )
    return edge_plan.of(environment, edge).project.watch | Watch(probes=probes)


def _dial(host: str, numbers: Iterable[int]) -> str:
    """A command that dials all these ports at once: `PORT CODE` for each. bash, for its /dev/tcp."""
    lines = "\n".join(
        f"( timeout {_SECONDS} bash -c '</dev/tcp/{shlex.quote(host)}/{port}' 2>/dev/null; echo {port} $? ) &"
        for port in numbers
    )
    # Not at the beginning: POSIX shells read `$((` as arithmetic.
    return f"true\n{lines}\nwait"


EDGE: Book[EdgeFacts] = Book("edge")
_DEPLOY = "pyinfra inventory.py deploy.py --limit edge"
_TAILNET = "pyinfra inventory.py deploy.py --limit tailnet; then tailwart tailnet matrix"


@EDGE.check(
    "container-healthy", "The edge's container runs and is healthy", cause="Caddy ended or hangs.", remedy=_DEPLOY
)
def _(facts: EdgeFacts) -> Found:
    if not facts.report.engine.version:
        raise CannotLook("the container engine does not answer")
    if facts.report.probes["state"].exit_code:
        yield f"there is no container {CONTAINER}"
        return
    state = json.loads(facts.probe("state"))
    health = (state.get("Health") or {}).get("Status", "healthy")
    if state["Status"] != "running" or health != "healthy":
        yield f"it is {state['Status']}, {health}"


@EDGE.check(
    "binary",
    "Caddy is the recorded program and has caddy-l4",
    cause="The program was replaced by hand.",
    remedy=_DEPLOY,
)
def _(facts: EdgeFacts) -> Found:
    recorded, running = facts.probe("recorded").strip(), facts.probe("binary").split()[0]
    if running != recorded:
        yield f"SHA-256 {running}, recorded {recorded}"
    if missing := _MODULES - set(facts.probe("modules").split()):
        yield f"without {', '.join(sorted(missing))}"


@EDGE.check(
    "config-valid",
    "Caddy accepts its configuration",
    cause="caddy.json was edited on the host.",
    remedy=_DEPLOY,
)
def _(facts: EdgeFacts) -> Found:
    result = facts.report.probes.get("valid")
    if result is None or facts.report.probes["state"].exit_code:
        raise CannotLook(f"there is no container {CONTAINER}")
    if result.exit_code:
        yield result.output.decode(errors="replace").strip()[-300:]


@EDGE.check(
    "deployed",
    "What runs was made from the settings",
    cause="Something was changed in .env and not deployed, or by hand on the host.",
    remedy=_DEPLOY,
)
def _(facts: EdgeFacts) -> Found:
    yield from edge_plan.drift(facts.plan, facts.report)


@EDGE.check("listens", "Its ports listen on IPv4 and IPv6", remedy=_DEPLOY, lesson=8)
def _(facts: EdgeFacts) -> Found:
    facts.probe("listeners")
    yield from (f"{gap} does not listen" for gap in edge_plan.gaps(facts.plan, facts.report))


@EDGE.check(
    "no-other-service",
    "The edge offers no mail service that is not public",
    cause="Caddy runs with an older configuration.",
    remedy=_DEPLOY,
)
def _(facts: EdgeFacts) -> Found:
    own = facts.probe("pid").strip()
    offered = {item.port for item in facts.listeners if str(item.pid) == own}
    public = set(facts.plan.routes.ports)
    yield from (f"{port} listens" for port in sorted((offered & set(ports(MAIL_SERVICES))) - public))


@EDGE.check("reaches-mailbox", "The mailbox's mail services answer over the tailnet", remedy=_TAILNET, lesson=11)
def _(facts: EdgeFacts) -> Found:
    for service in facts.environment.mail_services.public:
        if not facts.reaches(service):
            yield f"{facts.environment.magic_host}:{service.port} does not answer: the grant, or the sidecar"


@EDGE.check("reaches-https", "The mailbox's :443 answers over the tailnet", remedy=_TAILNET, lesson=5)
def _(facts: EdgeFacts) -> Found:
    if not facts.reaches(HTTPS):
        yield f"{facts.environment.magic_host}:443 does not answer: the grant, or the sidecar"


@EDGE.check(
    "administration-closed",
    "The mailbox's own HTTP port is closed to the edge",
    cause="A wide rule of the tailnet's policy opens the administration to every edge.",
    remedy="tailwart tailnet test, which names the rule",
)
def _(facts: EdgeFacts) -> Found:
    if facts.environment.tag_edge in facts.environment.ts_admin_src:
        raise NotApplicable("TS_ADMIN_SRC lets the edges in")
    if facts.reaches(HTTP):
        yield f"{facts.environment.magic_host}:{HTTP.port} answers"


@EDGE.check(
    "tailnet-services-closed",
    "Services for the tailnet are closed to the edge",
    cause="A wide rule of the tailnet's policy opens them to every edge.",
    remedy="tailwart tailnet test, which names the rule",
)
def _(facts: EdgeFacts) -> Found:
    environment = facts.environment
    if not environment.mail_services.tailnet:
        raise NotApplicable("MAIL_SERVICES has no service with :tailnet")
    if {environment.tag_edge, "*", "autogroup:tagged"} & set(environment.ts_mail_src):
        raise NotApplicable("TS_MAIL_SRC lets the edges in")
    for service in environment.mail_services.tailnet:
        if facts.reaches(service):
            yield f"{service} answers"


@EDGE.check(
    "no-open-relay",
    "Its port 25 takes no mail of strangers for others",
    cause="A setting of the server lets clients that are not logged in send to anybody: spam leaves in your name.",
    remedy="let MtaStageRcpt's allowRelaying ask for a login again, as it does by default: docs/objects.md",
    deep=True,
)
def _(facts: EdgeFacts) -> Found:
    if not list(relaying.probes(facts.environment, facts.edge)):
        raise NotApplicable("it takes no mail, or its public address is not in .env")
    yield from relaying.found(facts.environment, facts.probe(relaying.PROBE))


hosts.enter(EDGE)
