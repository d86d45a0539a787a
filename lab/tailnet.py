"""The lab's tailnet: pre-auth keys from headscale on control, and the nodes that `lab up` joins."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lab import containers, engine
from lab.console import step
from lab.engine import Docker
from lab.topology import CONTROL, Host

LOGIN_SERVER = "https://headscale.lab.test"


def auth_key(docker: Docker, tags: Sequence[str]) -> str:
    """A reusable pre-auth key for nodes with these tags."""
    command = ["lab-authkey", ",".join(tags)]
    return docker.text(*engine.exec_arguments(CONTROL.container, command))


def join_all(docker: Docker, members: Sequence[Host]) -> None:
    """Join those that are not on the tailnet, side by side."""
    nodes = [host for host in members if host.node_name]
    known = _registered(docker)
    with ThreadPoolExecutor(len(nodes)) as pool:
        keys = list(pool.map(lambda each: _node_key(docker, each), nodes))
        absent = [host for host, key in zip(nodes, keys, strict=True) if key not in known]
        if not absent:
            return
        with step(f"joining the tailnet: {', '.join(host.node_name for host in absent)}"):
            for _ in pool.map(lambda each: join(docker, each), absent):
                pass


def join(docker: Docker, host: Host) -> None:
    """Join one host under its own name and tags, and wait until it is up."""
    forget(docker, host)
    key = auth_key(docker, host.node_tags)
    # control serves the tailnet's names and keeps its own resolver; the others ask MagicDNS, as a real node does.
    accept_dns = "false" if host is CONTROL else "true"
    # --force-reauth: a node may believe in a control server that has been recreated and knows it no more.
    script = (
        "umask 077; cat > /run/lab-authkey; "
        f"tailscale up --login-server={LOGIN_SERVER} --auth-key=file:/run/lab-authkey --hostname={host.node_name} "
        f"--accept-dns={accept_dns} --force-reauth --timeout=60s; code=$?; rm -f /run/lab-authkey; exit $code"
    )
    docker.run(
        *engine.exec_arguments(host.container, ["/bin/sh", "-c", script], stdin=True), stdin=key.encode(), timeout=120
    )


def forget(docker: Docker, host: Host) -> None:
    """Delete the host's nodes from the control server: a second one of a name would get another in MagicDNS."""
    for node in _nodes(docker):
        if node["name"] in {host.node_name, *host.guests}:
            command = ["headscale", "nodes", "delete", "--force", "--identifier", str(node["id"])]
            docker.run(*engine.exec_arguments(CONTROL.container, command))


def _registered(docker: Docker) -> set[str]:
    """Node keys that the control server knows."""
    return {node["node_key"] for node in _nodes(docker)}


def _nodes(docker: Docker) -> list[dict[str, Any]]:
    command = ["headscale", "nodes", "list", "--output", "json"]
    nodes: list[dict[str, Any]] | None = json.loads(
        docker.text(*engine.exec_arguments(CONTROL.container, command)) or "null"
    )
    return nodes or []


def _node_key(docker: Docker, host: Host) -> str:
    """The node key of a running node; empty for one that is not logged in."""

    def decided() -> subprocess.CompletedProcess[bytes]:
        # A tailscaled that has just started says NoState or Starting before it says what it is.
        command = ["tailscale", "status", "--json", "--peers=false"]
        result = docker.run(*engine.exec_arguments(host.container, command), check=False)
        state = _status(result.stdout).get("BackendState", "")
        undecided = state in {"", "NoState"}
        return subprocess.CompletedProcess([], int(undecided), result.stdout, f"tailscaled says {state!r}".encode())

    result = containers.await_true(
        decided, f"tailscaled on {host.name} is not up", f"tailwart lab logs {host.name}", 60
    )
    status = _status(result.stdout)
    return str(status["Self"]["PublicKey"]) if status["BackendState"] == "Running" else ""


def _status(output: bytes) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(output)
    except ValueError:
        return {}
    return document
