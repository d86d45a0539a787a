"""What only a running lab knows of its tailnet: the relay's address."""

from __future__ import annotations

from lab import engine
from lab.engine import Docker
from lab.topology import RELAY


def load(docker: Docker) -> dict[str, str]:
    """`relay_address`. A recreated relay registers as a new node with a new one."""
    address = docker.text(*engine.exec_arguments(RELAY.container, ["tailscale", "ip", "-4"]))
    return {"relay_address": address}
