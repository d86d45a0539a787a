"""The lab's hosts as containers: create, start, await, recreate, execute."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from lab import apt, engine, etc_lab, images, paths, topology
from lab.console import step
from lab.engine import Docker
from lab.topology import LABEL, Host, Network
from tailwart.errors import TailwartError

# Seconds. A host boots in 3 to 8 s on an idle machine; a busy one with two cores is several times slower.
BOOT_TIMEOUT = 180.0
_POLL = 0.2


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


def ensure_networks(docker: Docker) -> None:
    """The three bridges. None masquerades: a packet that left a host by mistake would find no way back."""
    present = set(docker.lines("network", "ls", "--format", "{{.Name}}"))
    for network in topology.NETWORKS:
        if network.full_name not in present:
            docker.run("network", "create", *_network_flags(network), network.full_name)


def _network_flags(network: Network) -> list[str]:
    flags = ["--driver", "bridge", "--label", f"{LABEL}=network"]
    flags += ["--opt", "com.docker.network.bridge.enable_ip_masquerade=false"]
    # Frames wider than the underlying link never occur on one machine, but WireGuard inside needs its full 1280.
    if network.v4:
        flags += ["--subnet", network.v4]
    if network.v6:
        flags += ["--ipv6", "--subnet", network.v6]
    return flags


def create(docker: Docker, host: Host, image: str) -> None:
    """A stopped container for this host: addresses, volume, mounts and ports in place."""
    volumes = ["--volume", f"{host.container}-engine:/var/lib/docker"]
    volumes += ["--volume", f"{etc_lab.directory(host)}:/etc/lab:ro"]
    if host is topology.CONTROL:
        volumes += ["--volume", f"{apt.directory()}:/srv/apt:ro"]
    ports = ["--publish", f"127.0.0.1:{host.ssh_port}:22"]
    for port in host.publish:
        protocols = ("tcp", "udp") if port == 53 else ("tcp",)
        for protocol in protocols:
            ports += ["--publish", f"127.0.0.1:{topology.published(port)}:{port}/{protocol}"]
    forwarding = ["--sysctl", "net.ipv6.conf.all.disable_ipv6=0"]
    if host.place is topology.Place.ROUTER:
        forwarding += ["--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "net.ipv6.conf.all.forwarding=1"]
    docker.run("volume", "create", "--label", f"{LABEL}=volume", f"{host.container}-engine")
    docker.run(
        "create",
        *("--name", host.container, "--hostname", host.name),
        *("--label", f"{LABEL}=host", "--label", f"{LABEL}.image={image}", "--label", f"{LABEL}.host={host.name}"),
        *docker.run_flags,
        *("--env", "container=docker", "--stop-signal", "SIGRTMIN+3"),
        *("--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec"),  # noqa: S108 the host's own /tmp
        *volumes,
        *forwarding,
        *ports,
        *("--network", topology.MANAGE.full_name),
        image,
        "/sbin/init",
    )
    for network, v4, v6 in host.addresses:
        addresses = ["--ip", str(v4), "--ip6", str(v6)]
        docker.run("network", "connect", *addresses, network.full_name, host.container)


def start(docker: Docker, host: Host) -> None:
    """Start a created or stopped host. Raises TailwartError that names a port taken by somebody else."""
    try:
        docker.run("start", host.container)
    except TailwartError as error:
        if "address already in use" in error.seen or "port is already allocated" in error.seen:
            raise TailwartError(
                f"a port of {host.name} on 127.0.0.1 is taken by another program",
                seen=error.seen,
                remedy=f"free it, or move the lab's ports: LAB_PORT_BASE={topology.port_base() + 1000} tailwart lab up",
            ) from error
        raise


def remove(docker: Docker, host: Host) -> None:
    """Remove a host with its disk; nothing happens when it is not there."""
    docker.run("rm", "--force", "--volumes", host.container, check=False)
    docker.run("volume", "rm", "--force", f"{host.container}-engine", check=False)


def await_ready(docker: Docker, host: Host) -> None:
    """Wait until every service of the host answers. Raises TailwartError with what is missing."""
    ready = images.HOST_IMAGES[host.image].ready
    # sshd's socket is what pyinfra and the tests meet first, on every kind of host.
    probe = f"{ready} && systemctl is-active --quiet lab-boot ssh"
    await_true(
        lambda: docker.run(*engine.exec_arguments(host.container, ["/bin/sh", "-c", probe]), check=False),
        f"{host.name} is not ready",
        f"tailwart lab logs {host.name}",
    )


def await_true(
    attempt: Callable[[], subprocess.CompletedProcess[bytes]], what: str, remedy: str, timeout: float = BOOT_TIMEOUT
) -> subprocess.CompletedProcess[bytes]:
    """Repeat a command until it succeeds. Raises TailwartError with its last words after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        result = attempt()
        if result.returncode == 0:
            return result
        if time.monotonic() > deadline:
            words = (result.stderr or result.stdout).decode(errors="replace").strip()
            raise TailwartError(f"{what} after {timeout:.0f} s", seen=words or "no output", remedy=remedy)
        time.sleep(_POLL)


def state(docker: Docker) -> dict[str, tuple[str, str]]:
    """Host name → (container state, image reference) for every host container that exists."""
    listed = docker.lines("ps", "--all", "--filter", f"label={LABEL}=host", "--format", "{{json .}}")
    found = {}
    for line in listed:
        document = json.loads(line)
        found[document["Names"].removeprefix(f"{topology.PREFIX}-")] = (document["State"], document["Image"])
    return found


def recreate(*names: str) -> None:
    """Replace hosts by bare ones of the same image: new disk, new host keys, known_hosts rewritten.

    For tests that begin with bare hosts. Other hosts stay as they are; takes seconds.
    """
    docker = running_engine()
    present = state(docker)
    wanted = [topology.host(name) for name in names]
    for host in wanted:
        if host.name not in present:
            raise TailwartError(f"{host.name} is not part of the running lab", remedy="tailwart lab up --edges 2")

    def replace(host: Host) -> None:
        remove(docker, host)
        create(docker, host, present[host.name][1])
        start(docker, host)
        await_ready(docker, host)

    with step(f"recreating {', '.join(names)}"), ThreadPoolExecutor(len(wanted)) as pool:
        for _ in pool.map(replace, wanted):
            pass
    write_known_hosts(docker)


def write_known_hosts(docker: Docker) -> None:
    """known_hosts from the keys the running hosts really have, read past SSH itself."""
    entries = []
    for name, (status, _) in sorted(state(docker).items()):
        if status != "running":
            continue
        host = topology.host(name)
        arguments = engine.exec_arguments(host.container, ["cat", "/etc/ssh/ssh_host_ed25519_key.pub"])
        key = " ".join(docker.text(*arguments).split()[:2])
        entries.append(f"[127.0.0.1]:{host.ssh_port} {key}\n")
    paths.write_private(etc_lab.known_hosts(), "".join(entries).encode())
