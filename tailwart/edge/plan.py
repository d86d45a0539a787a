"""What one edge host should have, derived from the settings, and why it differs. Pure: no pyinfra, no host."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from tailwart import fields as v
from tailwart.edge import image, listeners, resolver
from tailwart.edge.caddy_config import ADMIN_SOCKET, EdgeRoutes, render, same_meaning
from tailwart.edge.door import Door
from tailwart.edge.image import CONTAINER, DIRECTORY, ImageInputs
from tailwart.environment import Edge, Environment
from tailwart.hosts import membership
from tailwart.hosts.files import HostDirectory, HostFile, pending
from tailwart.hosts.membership import Membership
from tailwart.hosts.project import ComposeProject, Service
from tailwart.hosts.project import drift as project_drift
from tailwart.hosts.report import HostReport, Probe
from tailwart.hosts.watch import Watch

STAGE = f"{DIRECTORY}/next"
PREVIOUS = f"{DIRECTORY}/previous"
DIGEST = f"{DIRECTORY}/caddy.sha256"
WEB = f"{DIRECTORY}/web"
WEB_PATH = f"{WEB}/caddyfile-path"
"""Holds the path of the Caddyfile that was edited, so that the edit can be reverted when the setting is gone."""
WEB_RELOAD = f"{WEB}/reload-required"
JMAP_SITE = f"{DIRECTORY}/jmap.caddy"
"""A file of earlier releases, which the web Caddy imported: removed."""

NOTHING = Probe(1, b"")


@dataclass(frozen=True)
class EdgePlan:
    """One edge host. ``caddyfile`` is the web Caddy's file, empty for a mail-only edge.

    ``ipv6``: the host has a public IPv6 address and must listen on it (lesson 8). ``memory``: bytes for Caddy.
    ``connections`` and ``rate``: limits per client address, see `door`.
    """

    routes: EdgeRoutes
    inputs: ImageInputs
    membership: Membership
    caddyfile: str = ""
    ipv6: bool = False
    memory: int = 512 * 1024 * 1024
    connections: int = 0
    rate: int = 0

    @property
    def files(self) -> tuple[HostFile, ...]:
        """The files that are staged, tested, and then activated together."""
        return tuple(
            HostFile(f"{DIRECTORY}/{name}", content)
            for name, content in (
                ("Dockerfile", image.dockerfile(self.inputs)),
                ("fetch-caddy.sh", image.fetch_script()),
                ("compose.yaml", image.compose_file(self.reference, self.memory)),
                ("caddy.json", render(self.routes)),
            )
        )

    @property
    def staged(self) -> tuple[HostFile, ...]:
        """The same files in the directory where they are tested."""
        return tuple(HostFile(f"{STAGE}/{file.path.rpartition('/')[2]}", file.content) for file in self.files)

    @property
    def reference(self) -> str:
        """The image, by content."""
        return image.reference(self.inputs)

    @property
    def door(self) -> Door:
        """The limits per client address."""
        return Door(self.routes.ports, self.connections, self.rate)

    @property
    def directories(self) -> tuple[HostDirectory, ...]:
        """Open to all: they hold no secret, and Caddy inside the container is not root."""
        return (HostDirectory(DIRECTORY),)

    @property
    def project(self) -> ComposeProject:
        """The Compose project, with all facts of the role in one remote command."""
        return ComposeProject(
            name=CONTAINER,
            directory=DIRECTORY,
            files=self.files,
            directories=self.directories,
            services=(Service("edge"),),
            wait_seconds=60,
            beside=resolver.UNIT.watch
            | self.door.watch
            | Watch(
                paths=(DIGEST, JMAP_SITE, WEB_RELOAD),
                probes=(
                    ("config", running_config()),
                    ("pid", f"docker inspect --format '{{{{.State.Pid}}}}' {CONTAINER} 2>/dev/null"),
                    ("listeners", "ss -Hlntp"),
                    *membership.WATCH.probes,
                    ("web-path", f"cat {WEB_PATH} 2>/dev/null"),
                    *((("caddyfile", f"cat {shlex.quote(self.caddyfile)}"),) if self.caddyfile else ()),
                ),
            ),
        )


def running_config() -> str:
    """A command that prints the configuration Caddy runs with now, asked of Caddy itself."""
    url = "http://edge/config/"
    return f"docker exec {CONTAINER} curl -fsS --max-time 5 --unix-socket {ADMIN_SOCKET} {url} 2>/dev/null"


def of(environment: Environment, edge: Edge) -> EdgePlan:
    """The plan for ``edge`` under these settings."""
    return EdgePlan(
        routes=EdgeRoutes(
            environment.magic_host,
            environment.domains,
            https=edge.owns_https,
            web=edge.web is not None,
            web_addresses=edge.web != v.MOVED_WEB,
            services=environment.services_of(edge),
            vhost=environment.mail_host if environment.jmap_vhost else "",
        ),
        inputs=ImageInputs(
            environment.edge_base_image,
            environment.caddy_download_url,
            environment.caddy_plugins,
            environment.caddy_sha256 or "",
        ),
        membership=Membership(environment.ts_tailnet, (environment.tag_edge,), environment.ts_login_server or ""),
        caddyfile=edge.web if edge.web and edge.web.startswith("/") else "",
        ipv6=edge.ipv6 is not None,
        memory=environment.edge_memory,
        connections=environment.edge_connections,
        rate=environment.edge_rate,
    )


def drift(plan: EdgePlan, report: HostReport) -> list[str]:
    """Why the edge must be activated, in the operator's words; empty when it is up to date.

    The running configuration is compared with the desired one by meaning: so a run that died between writing caddy.json
    and loading it is noticed.
    """
    reasons = [f"{file.path} changes" for file in pending(report, plan.files)[0]]
    reasons += project_drift(plan.project, report)
    if not unloaded(plan, report):
        reasons += [f"{gap} does not listen" for gap in gaps(plan, report)]
    elif not reasons:
        reasons.append("Caddy runs with an older configuration")
    if DIGEST not in report.paths:
        reasons.append(f"{DIGEST} is missing")
    return reasons


def unloaded(plan: EdgePlan, report: HostReport) -> bool:
    """Whether Caddy runs with another configuration than the desired one."""
    probe = report.probes.get("config", NOTHING)
    return probe.exit_code != 0 or not same_meaning(probe.output.decode(errors="replace"), render(plan.routes))


def gaps(plan: EdgePlan, report: HostReport) -> list[str]:
    """Ports that do not listen on a family they must listen on."""
    found = listeners.missing(_listeners(report), plan.routes.ports)
    return [gap for gap in found if plan.ipv6 or gap.endswith("/IPv4")]


def in_the_way(plan: EdgePlan, report: HostReport) -> tuple[listeners.Listener, ...]:
    """Foreign listeners on the edge's ports."""
    pid = report.probes.get("pid", NOTHING).output.decode(errors="replace").strip()
    return listeners.foreign(_listeners(report), plan.routes.ports, int(pid) if pid.isdecimal() else 0)


def _listeners(report: HostReport) -> tuple[listeners.Listener, ...]:
    return listeners.parse(report.probes.get("listeners", NOTHING).output.decode(errors="replace").splitlines())
