"""`lab up` and `lab down`, as a table of contents."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lab import apt, credentials, dotenv, engine, etc_lab, hosts, paths, programs, tailnet, topology
from lab.console import say, step
from lab.engine import Docker
from lab.images import base, build
from lab.images import hosts as host_images
from lab.topology import LABEL, Host


def up(edges: int = 1) -> None:
    """Bring the whole lab up, whatever is there already. A running and unchanged lab is left alone."""
    members = topology.hosts(edges)
    docker = engine.start()
    with ThreadPoolExecutor(1) as pool:
        # The compilers and the package downloads wait for different things.
        compiled = pool.submit(programs.ensure, programs.HOST_PROGRAMS)
        bases = base.ensure(docker)
        compiled.result()
    references = host_images.ensure(docker, bases.host)
    apt.ensure(docker, references["host"])
    etc_lab.prepare(members)
    hosts.ensure_networks(docker)
    changed = _start(docker, members, references)
    if changed:
        hosts.write_known_hosts(docker)


def _start(docker: Docker, members: Sequence[Host], references: dict[str, str]) -> list[Host]:
    """Create, replace or start what is not running as wanted. Returns the hosts that were touched."""
    present = hosts.state(docker)
    wanted = {host.name: references[host.image] for host in members}
    touched = []
    for host in members:
        status, image = present.get(host.name, ("absent", ""))
        if status == "running" and image == wanted[host.name]:
            continue
        if image != wanted[host.name]:
            hosts.remove(docker, host)
            hosts.create(docker, host, wanted[host.name])
        hosts.start(docker, host)
        touched.append(host)
    for host in members:
        with step(f"{host.name} boots", quiet_under=1.0):
            hosts.await_ready(docker, host)
    return touched


def down() -> None:
    """Remove every container, network and volume of the lab, and stop the engine if the lab started it."""
    docker = engine.find()
    if docker is not None:
        _remove_all(docker)
    if engine.stop():
        say("the lab's own container engine is stopped")
    say(f"images stay in {paths.cache()}; delete that directory to start from nothing")


def _remove_all(docker: Docker) -> None:
    containers = docker.lines("ps", "--all", "--quiet", "--filter", f"label={LABEL}")
    if containers:
        with step(f"removing {len(containers)} hosts"):
            docker.run("rm", "--force", "--volumes", *containers)
    networks = docker.lines("network", "ls", "--quiet", "--filter", f"label={LABEL}")
    if networks:
        docker.run("network", "rm", *networks)
    volumes = docker.lines("volume", "ls", "--quiet", "--filter", f"label={LABEL}")
    if volumes:
        docker.run("volume", "rm", *volumes)
