"""The hosts' containers: networks, creation, start, readiness, and the host keys they show."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Callable
from typing import NamedTuple

from lab import apt, engine, etc_lab, images, paths, topology
from lab.engine import Docker
from lab.topology import LABEL, Host, Network
from tailwart.errors import TailwartError

# Seconds. A host boots in 2 to 8 s on an idle machine; a busy one with two cores is several times slower.
BOOT_TIMEOUT = 180.0
_POLL = 0.2


def ensure_networks(docker: Docker) -> None:
    """The three bridges. None masquerades: a packet that left a host by mistake would find no way back."""
    present = set(docker.lines("network", "ls", "--format", "{{.Name}}"))
    for network in topology.NETWORKS:
        if network.full_name not in present:
            docker.run("network", "create", *_network_flags(network), network.full_name)


def _network_flags(network: Network) -> list[str]:
    flags = ["--driver", "bridge", "--label", f"{LABEL}=network"]
    flags += ["--opt", "com.docker.network.bridge.enable_ip_masquerade=false"]
    if network is topology.MANAGE:
        # Hosts meet on the lab's networks only: here, nobody reaches the mailbox past the router.
        flags += ["--opt", "com.docker.network.bridge.enable_icc=false"]
    if network.v4:
        flags += ["--subnet", network.v4]
    if network.v6:
        flags += ["--ipv6", "--subnet", network.v6]
    return flags


def create(docker: Docker, host: Host, image: str) -> None:
    """A stopped container for this host: addresses, volumes, mounts and ports in place."""
    for volume in _volumes(host).values():
        docker.run("volume", "create", "--label", f"{LABEL}=volume", volume)
    labels = ["--label", f"{LABEL}=host", "--label", f"{LABEL}.spec={spec(docker, host, image)}"]
    docker.run("create", *labels, *_flags(docker, host), image, "/sbin/init")
    for network, v4, v6 in host.addresses:
        addresses = ["--ip", str(v4), "--ip6", str(v6)]
        docker.run("network", "connect", *addresses, network.full_name, host.container)


def spec(docker: Docker, host: Host, image: str) -> str:
    """Fingerprint of everything a container is created with; a running one with another is replaced."""
    return hashlib.sha256(
        repr((image, host.addresses, etc_lab.family(host), _flags(docker, host))).encode()
    ).hexdigest()[:16]


def _flags(docker: Docker, host: Host) -> list[str]:
    flags = ["--name", host.container, "--hostname", host.name, *docker.run_flags]
    flags += ["--env", "container=docker", "--stop-signal", "SIGRTMIN+3"]
    flags += ["--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec"]  # noqa: S108 the host's own /tmp
    flags += [part for path, volume in _volumes(host).items() for part in ("--volume", f"{volume}:{path}")]
    flags += ["--volume", f"{etc_lab.directory(host)}:/etc/lab:ro"]
    flags += ["--sysctl", "net.ipv6.conf.all.disable_ipv6=0"]
    if host is topology.CONTROL:
        flags += ["--volume", f"{apt.directory()}:/srv/apt:ro"]
        flags += ["--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "net.ipv6.conf.all.forwarding=1"]
    flags += ["--publish", f"127.0.0.1:{host.ssh_port}:22"]
    for port in host.publish:
        for protocol in ("tcp", "udp") if port == 53 else ("tcp",):
            flags += ["--publish", f"127.0.0.1:{topology.published(port)}:{port}/{protocol}"]
    return [*flags, "--network", topology.MANAGE.full_name]


def _volumes(host: Host) -> dict[str, str]:
    """Path → volume. An engine's own storage cannot lie on the overlay that the host's root is."""
    return {path: kept_volume(host, path) for path in ("/var/lib/docker", *host.keeps)}


def kept_volume(host: Host, path: str) -> str:
    """Name of the volume for a directory of the host."""
    return f"{host.container}-{path.rpartition('/')[2]}"


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
    docker.run("volume", "rm", "--force", kept_volume(host, "/var/lib/docker"), check=False)


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


class Present(NamedTuple):
    """A host's container as it is: state, image reference, and the fingerprint it was created with."""

    state: str
    image: str
    spec: str


def state(docker: Docker) -> dict[str, Present]:
    """Every host container that exists, by host name."""
    form = f'{{{{.Names}}}}|{{{{.State}}}}|{{{{.Label "{LABEL}.spec"}}}}|{{{{.Image}}}}'
    listed = docker.lines("ps", "--all", "--filter", f"label={LABEL}=host", "--format", form)
    found = {}
    for line in listed:
        name, status, fingerprint, image = line.split("|")
        found[name.removeprefix(f"{topology.PREFIX}-")] = Present(status, image, fingerprint)
    return found


def write_known_hosts(docker: Docker) -> None:
    """known_hosts from the keys the running hosts really have, read past SSH itself."""
    entries = []
    for name, present in sorted(state(docker).items()):
        if present.state != "running":
            continue
        host = topology.host(name)
        arguments = engine.exec_arguments(host.container, ["cat", "/etc/ssh/ssh_host_ed25519_key.pub"])
        key = " ".join(docker.text(*arguments).split()[:2])
        entries.append(f"[127.0.0.1]:{host.ssh_port} {key}\n")
    paths.write_private(etc_lab.known_hosts(), "".join(entries).encode())
