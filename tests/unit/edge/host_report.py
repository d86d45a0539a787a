"""What an edge host's one remote command would print: of a bare host, and of one that is up to date."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field, replace

from tailwart.edge import resolver
from tailwart.edge.caddy_config import EdgeRoutes, render
from tailwart.edge.image import CONTAINER, DIRECTORY, ImageInputs
from tailwart.edge.plan import EdgePlan
from tailwart.hosts.files import HostFile
from tailwart.hosts.hardening.plan import HostRole
from tailwart.hosts.membership import Membership
from tailwart.hosts.project import record
from tailwart.hosts.report import HEADER, TRAILER, HostReport, parse
from tests.unit.operations import hardened
from tests.unit.operations.systemctl import shown

PLAN = EdgePlan(
    routes=EdgeRoutes("stalwart.tail1234.ts.net", ("example.org",)),
    inputs=ImageInputs("debian:trixie-slim", "https://caddyserver.com/api/download"),
    membership=Membership("tail1234.ts.net", ("tag:reverse-proxy",)),
    ipv6=True,
    connections=200,
    rate=600,
)
PID = 4711
ON_TAILNET = {
    "BackendState": "Running",
    "MagicDNSSuffix": "tail1234.ts.net",
    "Self": {"Tags": ["tag:reverse-proxy"]},
}


@dataclass(frozen=True)
class EdgeHost:
    """The state of a host, each part of it replaceable. ``files`` None: no file of the deploy is there."""

    plan: EdgePlan = PLAN
    files: tuple[HostFile, ...] | None = None
    running: str = ""
    health: str = "healthy"
    listeners: str = ""
    tailscale: tuple[int, str] = (0, json.dumps(ON_TAILNET))
    resolver: str = shown(resolver.UNIT)
    digest: bool = True
    web_path: str = ""
    door: str = "tool=/usr/sbin/nft\nloaded=\nunit=\n"
    extra: tuple[str, ...] = field(default=())

    def lines(self) -> list[str]:
        """The report's lines."""
        if self.files is None:
            return [HEADER, _probe("tailscale", *self.tailscale), _probe("listeners", 0, self.listeners), TRAILER]
        rows = [HEADER, f"path\tdirectory\t755\troot:root\t{DIRECTORY}", *self.extra]
        for file in self.files:
            rows.append(f"path\tregular file\t{file.mode.lstrip('0')}\t{file.owner}\t{file.path}")
            rows.append(f"sha256\t{file.sha256}\t{file.path}")
        if self.digest:
            rows.append(f"path\tregular file\t644\troot:root\t{DIRECTORY}/caddy.sha256")
        rows += ["engine\t26.1.5\tfalse\t2.26.1\t", "unit\tenabled\tboot/1/2", self._container()]
        rows.append(self._record())
        rows += [
            _probe("config", 0, self.running),
            _probe("pid", 0, str(PID)),
            _probe("listeners", 0, self.listeners),
            _probe("tailscale", *self.tailscale),
            _probe(f"unit {resolver.UNIT.name}", 0, self.resolver),
            _probe("door", 0, self.door),
            _probe("web-path", 0 if self.web_path else 1, self.web_path),
            *hardened.lines(HostRole(self.plan.project.name, self.plan.routes.ports)),
        ]
        return [*rows, TRAILER]

    def report(self) -> HostReport:
        """The report as the operations see it."""
        return parse(self.lines())

    def _container(self) -> str:
        fields = (
            "edge", f"/{CONTAINER}", "f" * 64, "running", self.health, "0",
            "", "2026-01-01T00:00:00.1Z", "host", "PATH ",
        )  # fmt: skip
        return "container\t" + "\t".join(fields)

    def _record(self) -> str:
        known = parse([HEADER, self._container(), TRAILER])
        content = base64.b64encode(record(self.plan.project, known).encode()).decode()
        return f"content\t{content}\t{DIRECTORY}/.applied"


def listening(*ports: int, pid: int = PID, name: str = "caddy") -> str:
    """What ss prints for dual-stack sockets."""
    return "\n".join(f'LISTEN 0 4096 *:{port} *:* users:(("{name}",pid={pid},fd=8))' for port in ports)


def up_to_date(plan: EdgePlan = PLAN) -> EdgeHost:
    """A host on which nothing is to be done."""
    return EdgeHost(
        plan=plan,
        files=(*plan.files, *resolver.UNIT.files, *plan.door.files),
        door=f"tool=/usr/sbin/nft\nloaded={plan.door.digest}\nunit=enabled\n",
        running=json.dumps(json.loads(render(plan.routes))),
        listeners=listening(*plan.routes.ports),
    )


def changed(host: EdgeHost, name: str, content: str) -> EdgeHost:
    """The host with one of its files holding something else."""
    files = tuple(
        HostFile(file.path, content, file.mode) if file.path == f"{DIRECTORY}/{name}" else file
        for file in host.files or ()
    )
    assert hashlib.sha256(content.encode()).hexdigest() in {file.sha256 for file in files}
    return replace(host, files=files)


def _probe(name: str, code: int, output: str) -> str:
    return f"probe\t{name}\t{code}\t{base64.b64encode(output.encode()).decode()}"
