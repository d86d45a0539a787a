"""`lab status`: what runs, under which address and port, and whether it answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from lab import containers, dotenv, engine, etc_lab, images, paths, topology
from lab.engine import Docker
from lab.topology import Host


@dataclass(frozen=True)
class HostState:
    """One host as it is seen from outside; ``problem`` is empty when every service of it answers."""

    name: str
    state: str
    ipv4: str
    ipv6: str
    ssh_port: int
    problem: str = ""


@dataclass(frozen=True)
class Report:
    hosts: tuple[HostState, ...]
    stalwart: str
    environment: str

    @property
    def healthy(self) -> bool:
        return bool(self.hosts) and not any(host.problem for host in self.hosts)

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "healthy": self.healthy}

    def text(self) -> str:
        if not self.hosts:
            return "The lab is down.\nNext: tailwart lab up"
        lines = [f"{'HOST':<10} {'STATE':<9} {'ADDRESSES':<34} {'SSH':<6} PROBLEM"]
        for host in self.hosts:
            addresses = f"{host.ipv4} {host.ipv6}".strip()
            lines.append(f"{host.name:<10} {host.state:<9} {addresses:<34} {host.ssh_port:<6} {host.problem or '-'}")
        lines.append(f"Stalwart: {self.stalwart}")
        lines.append(f".env:     {self.environment}")
        broken = next((host for host in self.hosts if host.problem), None)
        lines.append(f"Next: tailwart lab logs {broken.name}" if broken else "Next: tailwart lab ssh mailbox")
        return "\n".join(lines)


def collect() -> Report:
    """Ask every host at once."""
    docker = engine.find()
    present = containers.state(docker) if docker else {}
    if docker is None or not present:
        return Report((), "", "")
    known = [topology.host(name) for name in present]
    with ThreadPoolExecutor(len(known)) as pool:
        states = tuple(pool.map(lambda host: _host_state(docker, host, present[host.name].state), known))
    ordered = sorted(
        states, key=lambda each: [host.name for host in topology.hosts(topology.MAX_EDGES)].index(each.name)
    )
    missing = tuple(_absent(host) for host in topology.hosts(1) if host.name not in present)
    environment = str(dotenv.path()) if dotenv.path().is_file() else "missing; tailwart lab up"
    return Report((*ordered, *missing), stalwart(), environment)


def _host_state(docker: Docker, host: Host, state: str) -> HostState:
    problem = ""
    if state != "running":
        problem = f"container is {state}"
    else:
        command = [
            "/bin/sh",
            "-c",
            f"{images.HOST_IMAGES[host.image].ready} && systemctl is-active --quiet ssh lab-boot",
        ]
        result = docker.run(*engine.exec_arguments(host.container, command), check=False)
        if result.returncode != 0:
            problem = (result.stderr or result.stdout).decode(errors="replace").strip() or "not ready"
    return HostState(host.name, state, *_addresses(host), host.ssh_port, problem)


def _absent(host: Host) -> HostState:
    return HostState(host.name, "absent", *_addresses(host), host.ssh_port, "no container")


def _addresses(host: Host) -> tuple[str, str]:
    has = etc_lab.addresses(host)
    return has.get("v4", ""), has.get("v6", "")


def stalwart() -> str:
    """Which Stalwart runs in the lab; says so when it is the stand-in."""
    path = paths.state() / "stalwart"
    return path.read_text().strip() if path.is_file() else "none yet"
