"""What tests and people do with hosts of the running lab: execute a command, or make one bare again."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lab import containers, engine, etc_lab, locking, tailnet, topology
from lab.console import step
from lab.engine import Docker
from lab.topology import Host
from tailwart.errors import TailwartError


def running_engine() -> Docker:
    """The engine of the running lab. Raises TailwartError when there is none."""
    docker = engine.find()
    if docker is None:
        raise TailwartError("the lab is not up: no container engine answers", remedy="tailwart lab up")
    return docker


def exec(
    host: str, argv: Sequence[str], *, stdin: bytes | None = None, check: bool = True, timeout: float | None = 120.0
) -> subprocess.CompletedProcess[bytes]:
    """Run a command as root on a host of the lab and capture what it says.

    Raises TailwartError when it fails and ``check`` is set, or when it takes longer than ``timeout`` seconds.
    """
    container = topology.host(host).container
    arguments = engine.exec_arguments(container, argv, stdin=stdin is not None)
    return running_engine().run(*arguments, stdin=stdin, check=check, timeout=timeout)


def spare() -> Host:
    """One more bare host beside the mailbox's, of the same image. `lab up` and `remove_spare` take it away again."""
    docker = running_engine()
    host = topology.SPARE
    etc_lab.prepare([host])
    with locking.exclusive(), step("a spare host boots"):
        image = containers.state(docker)[topology.MAILBOX.name].image
        containers.remove(docker, host)
        containers.create(docker, host, image)
        containers.start(docker, host)
        containers.await_ready(docker, host)
        containers.write_known_hosts(docker)
    return host


def remove_spare() -> None:
    """The spare host goes; nothing happens where there is none."""
    docker = running_engine()
    with locking.exclusive():
        containers.remove(docker, topology.SPARE)
        containers.write_known_hosts(docker)


def recreate(*names: str) -> None:
    """Replace hosts by bare ones of the same image: new disk, new host keys, known_hosts rewritten.

    For tests that begin with bare hosts. Other hosts stay as they are; takes seconds.
    """
    docker = running_engine()
    present = containers.state(docker)
    bare = [topology.host(name) for name in names]
    for host in bare:
        if host.name not in present:
            raise TailwartError(f"{host.name} is not part of the running lab", remedy="tailwart lab up --edges 2")

    def replace(host: Host) -> None:
        containers.remove(docker, host)
        tailnet.forget(docker, host)
        containers.create(docker, host, present[host.name].image)
        containers.start(docker, host)
        containers.await_ready(docker, host)

    with locking.exclusive(), step(f"recreating {', '.join(names)}"), ThreadPoolExecutor(len(bare)) as pool:
        for _ in pool.map(replace, bare):
            pass
        containers.write_known_hosts(docker)
