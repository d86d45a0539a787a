"""What is mounted at /etc/lab in every host: CA, the host's certificate, lab.env, the operator's public key."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import credentials, images, paths, pki, topology
from lab.engine.install import which
from lab.topology import Host
from tailwart.errors import TailwartError


def directory(host: Host) -> Path:
    return paths.state() / "etc-lab" / host.name


def ssh_key() -> Path:
    """The private key made for the lab; its public half is in every host's authorized_keys."""
    return paths.state() / "id_ed25519"


def known_hosts() -> Path:
    return paths.state() / "known_hosts"


def ssh_command(host: Host) -> list[str]:
    """The ssh command line that reaches this host, as everybody else does."""
    options = {
        "UserKnownHostsFile": str(known_hosts()),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
        "LogLevel": "ERROR",
    }
    flags = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    return ["ssh", "-F", "/dev/null", "-i", str(ssh_key()), *flags, "-p", str(host.ssh_port), "root@127.0.0.1"]


def prepare(hosts: Sequence[Host]) -> None:
    """Make or complete everything below the state directory that hosts need before they start."""
    paths.ensure_private(paths.state())
    issuer = pki.authority(paths.state())
    public = _ensure_ssh_key()
    secrets = credentials.load()
    for host in hosts:
        target = paths.ensure_private(directory(host))
        paths.write_private(target / "ca.crt", issuer.pem, 0o644)
        paths.write_private(target / "authorized_keys", public)
        pki.ensure_certificate(issuer, target, host.name, subjects(host))
        paths.write_private(target / "lab.env", variables(host, secrets).encode())


def family(host: Host) -> str:
    """v4 or v6 for a host that has this family alone, else empty."""
    path = directory(host) / "family"
    return path.read_text().strip() if path.is_file() else ""


def choose_family(host: Host, chosen: str) -> None:
    """The host has v4 or v6 alone from its next boot on; both with an empty one."""
    paths.write_private(paths.ensure_private(directory(host)) / "family", f"{chosen}\n".encode())


def addresses(host: Host) -> dict[str, str]:
    """The addresses that the host has outside, by v4 and v6."""
    return {name: text for name, text in (("v4", host.ipv4), ("v6", host.ipv6)) if family(host) in ("", name)}


def ca_pem() -> bytes:
    return pki.authority(paths.state()).pem


def subjects(host: Host) -> tuple[str, ...]:
    """Names and addresses for the certificate of this host."""
    names = [f"{host.name}.lab.test", *images.HOST_IMAGES[host.image].names]
    if host.node_name:
        names.append(f"{host.node_name}.{topology.TAILNET}")
    for _, v4, v6 in host.addresses:
        names += [str(v4), str(v6)]
    return tuple(dict.fromkeys([*names, "127.0.0.1"]))


def variables(host: Host, secrets: Mapping[str, str]) -> str:
    """lab.env: NAME=value lines that both sh and systemd's EnvironmentFile read alike. Values hold no blanks."""
    values = {
        "LAB_HOST": host.name,
        "LAB_RESOLVER": topology.RESOLVER,
        "LAB_RESOLVER_V6": topology.WORLD.ipv6,
        "LAB_ROUTER_V4": host.router_v4,
        "LAB_ROUTER_V6": host.router_v6,
        "LAB_IPV4": host.ipv4,
        "LAB_IPV6": host.ipv6,
        "LAB_DOMAIN": topology.DOMAIN,
        "LAB_OUTSIDE_DOMAIN": topology.OUTSIDE_DOMAIN,
        "LAB_TAILNET": topology.TAILNET,
    }
    # Bare hosts stand for machines of the operator's: nothing of the lab's secrets belongs there.
    values |= {name: secrets[name] for name in images.HOST_IMAGES[host.image].variables}
    return "".join(f"{name}={value}\n" for name, value in values.items())


def _ensure_ssh_key() -> bytes:
    key = ssh_key()
    if not key.is_file():
        if which("ssh-keygen") is None:
            raise TailwartError("ssh-keygen is missing", remedy="apt-get install openssh-client")
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tailwart-lab", "-f", str(key)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return key.with_suffix(".pub").read_bytes()
