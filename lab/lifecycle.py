"""`lab up` and `lab down`, as a table of contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from lab import (
    apt,
    containers,
    credentials,
    dotenv,
    engine,
    etc_lab,
    issuer,
    keyring,
    locking,
    paths,
    programs,
    registry,
    tailnet,
    topology,
)
from lab.console import say, step
from lab.engine import Docker
from lab.images import base, build, stalwart
from lab.images import hosts as host_images
from lab.images.base import Bases
from lab.programs import garage
from lab.topology import LABEL, Host
from tailwart.errors import TailwartError


def up(edges: int | None = None, families: Mapping[str, str] | None = None) -> None:
    """Bring the whole lab up, whatever is there already. A running and unchanged lab is left alone.

    ``edges``: how many edge hosts; None keeps as many as there are. ``families``: edge → v4, v6 or both, for those that
    change; the others keep what they have. Raises TailwartError that names the step, what was
    seen and what to do.
    """
    topology.hosts(1 if edges is None else edges)
    chosen = {topology.host(name): _checked_family(name, family) for name, family in (families or {}).items()}
    with locking.exclusive():
        for host, family in chosen.items():
            etc_lab.choose_family(host, family)
        _up(edges)


def _checked_family(name: str, family: str) -> str:
    if not name.startswith("edge-") or family not in ("v4", "v6", "both"):
        raise TailwartError(
            "--family is not understood", seen=f"{name}={family}", expected="edge-2=v4, edge-2=v6 or edge-2=both"
        )
    return "" if family == "both" else family


def _up(edges: int | None) -> None:
    docker = engine.start()
    present = containers.state(docker)
    members = topology.hosts(edges or max(1, sum(name.startswith("edge-") for name in present)))
    for name in set(present) - {host.name for host in members}:
        with step(f"removing {name}"):
            containers.remove(docker, topology.host(name))
    etc_lab.prepare(members)
    bases, references, published = _build(docker)
    _switch(docker, published)
    containers.ensure_networks(docker)
    if _start(docker, members, references):
        containers.write_known_hosts(docker)
    issuer.remember()
    # The lab builds its own Caddy, so that a changed one is no surprise.
    (paths.state() / "images.lock").unlink(missing_ok=True)
    with ThreadPoolExecutor(1) as pool:
        pushed = pool.submit(registry.push_all, docker, published)
        tailnet.join_all(docker, members)
        pushed.result()
    dotenv.write(
        credentials.load(),
        keyring.load(docker),
        {use: published.name(use) for use in published.images},
        [host for host in members if host.name.startswith("edge-")],
    )
    build.prune(
        docker, {*references.values(), *(name for name, _ in published.images.values()), bases.host, bases.slim}
    )
    paths.write_private(paths.state() / "stalwart", f"{published.stalwart.identity}\n".encode())
    say(f"the lab is up; Stalwart: {published.stalwart.identity}")


def _build(docker: Docker) -> tuple[Bases, dict[str, str], registry.Published]:
    """Everything that hosts are made of. Compilers want the cores, packages the network: each begins when it can."""
    with ThreadPoolExecutor(4) as pool:
        made = pool.submit(base.ensure, docker)
        compiled = pool.submit(_compile, docker, made)
        bases = made.result()
        references = pool.submit(host_images.ensure, docker, bases.host, compiled)
        packages = pool.submit(apt.ensure, docker, host_images.bare(docker, bases.host))
        compiled.result()
        published = registry.build_all(docker, bases.slim)
        packages.result()
        return bases, references.result(), published


def _compile(docker: Docker, bases: Future[Bases]) -> None:
    with ThreadPoolExecutor(1) as pool:
        compiled = pool.submit(programs.ensure, programs.GO_PROGRAMS)
        garage.ensure(docker, bases)
        compiled.result()


def _switch(docker: Docker, published: registry.Published) -> None:
    """Where a real server takes the stand-in's place, or the other way round, mailbox and backends begin bare.

    Neither server can read what the other has written into the stores.
    """
    path = paths.state() / "stalwart"
    if not path.is_file() or ("STAND-IN" in path.read_text()) == published.stalwart.is_standin:
        return
    affected = [host for host in (topology.MAILBOX, topology.BACKENDS) if host.name in containers.state(docker)]
    if affected:
        say(f"Stalwart changes to {published.stalwart.identity}: mailbox and backends begin bare")
    for host in affected:
        containers.remove(docker, host)


def _start(docker: Docker, members: Sequence[Host], references: dict[str, str]) -> list[Host]:
    """Create, replace or start what is not running as described. Returns the hosts that were touched."""
    present = containers.state(docker)
    desired = {host.name: containers.spec(docker, host, references[host.image]) for host in members}
    same = {name for name, found in present.items() if found.spec == desired.get(name)}
    touched = [host for host in members if host.name not in same or present[host.name].state != "running"]

    def bring(host: Host) -> None:
        if host.name not in same:
            containers.remove(docker, host)
            containers.create(docker, host, references[host.image])
        containers.start(docker, host)

    with ThreadPoolExecutor(len(members)) as pool:
        # All boot at once; whoever needs a neighbour finds it before this function returns.
        for _ in pool.map(bring, touched):
            pass
        for _ in pool.map(lambda host: _await(docker, host, fresh=host in touched), members):
            pass
    if topology.CONTROL.name in same:
        # It knows the nodes of the hosts that are gone: a new one would get another name in MagicDNS than .env has.
        for host in members:
            if host.name not in same:
                tailnet.forget(docker, host)
    return touched


def _await(docker: Docker, host: Host, *, fresh: bool) -> None:
    with step(f"{host.name} boots" if fresh else f"{host.name} answers", quiet_under=0.0 if fresh else 1.0):
        containers.await_ready(docker, host)


def down() -> None:
    """Remove every container, network and volume of the lab, and stop the engine if the lab started it."""
    with locking.exclusive():
        # A killed engine first: the machine's own may answer by now, and must not hide what the private one left.
        docker = engine.revive() or engine.find()
        if docker is not None:
            _remove_all(docker)
        stalwart.forget_choice()
        (paths.state() / "stalwart").unlink(missing_ok=True)
        for path in (paths.state() / "etc-lab").glob("*/family"):
            path.unlink()
        if engine.stop():
            say("the lab's own container engine is stopped")
    say(f"the lab is down; images and binaries stay in {paths.cache()} for the next start")


def _remove_all(docker: Docker) -> None:
    found = docker.lines("ps", "--all", "--quiet", "--filter", f"label={LABEL}")
    if found:
        with step(f"removing {len(found)} hosts"):
            docker.run("rm", "--force", "--volumes", *found)
    networks = docker.lines("network", "ls", "--quiet", "--filter", f"label={LABEL}")
    if networks:
        docker.run("network", "rm", *networks)
    volumes = docker.lines("volume", "ls", "--quiet", "--filter", f"label={LABEL}")
    if volumes:
        docker.run("volume", "rm", *volumes)
