"""The lab's tailnet: pre-auth keys from headscale on control, and the nodes that `lab up` joins."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lab import engine, hosts
from lab.console import step
from lab.engine import Docker
from lab.topology import CONTROL, Host

LOGIN_SERVER = "https://headscale.lab.test"


def auth_key(docker: Docker, tags: Sequence[str], *, ephemeral: bool = False) -> str:
    """A reusable pre-auth key for nodes with these tags. headscale takes no OAuth client secret in its place."""
    command = ["lab-authkey", ",".join(tags), *(["--ephemeral"] if ephemeral else [])]
    return docker.text(*engine.exec_arguments(CONTROL.container, command))


def join_all(docker: Docker, members: Sequence[Host]) -> None:
    """Join those that are not on the tailnet, side by side."""
    nodes = [host for host in members if host.node_name]
    with ThreadPoolExecutor(len(nodes)) as pool:
        absent = [host for host, joined in zip(nodes, pool.map(lambda each: _joined(docker, each), nodes)) if not joined]
        if not absent:
            return
        with step(f"joining the tailnet: {', '.join(host.node_name for host in absent)}"):
            for _ in pool.map(lambda each: join(docker, each), absent):
                pass


def join(docker: Docker, host: Host) -> None:
    """Join one host under its own name and tags, and wait until it is up."""
    key = auth_key(docker, host.node_tags)
    # control has the tailnet's names served by itself and keeps its resolver; the others ask MagicDNS as a real one does.
    accept_dns = "false" if host is CONTROL else "true"
    script = (
        "umask 077; cat > /run/lab-authkey; "
        f"tailscale up --login-server={LOGIN_SERVER} --auth-key=file:/run/lab-authkey --hostname={host.node_name} "
        f"--accept-dns={accept_dns} --timeout=60s; code=$?; rm -f /run/lab-authkey; exit $code"
    )
    docker.run(
        *engine.exec_arguments(host.container, ["/bin/sh", "-c", script], stdin=True), stdin=key.encode(), timeout=120
    )


def _joined(docker: Docker, host: Host) -> bool:
    def settled() -> subprocess.CompletedProcess[bytes]:
        # A tailscaled that has just started says NoState or Starting before it says what it is.
        command = ["/bin/sh", "-c", "tailscale status --json --peers=false; tailscale debug prefs >/dev/null 2>&1 || :"]
        result = docker.run(*engine.exec_arguments(host.container, command), check=False)
        state = _state(result.stdout)
        undecided = state in {"", "NoState", "Starting"}
        return subprocess.CompletedProcess([], int(undecided), result.stdout, f"tailscaled says {state!r}".encode())

    result = hosts.await_true(settled, f"tailscaled on {host.name} is not up", f"tailwart lab logs {host.name}", 60)
    return _state(result.stdout) == "Running"


def _state(output: bytes) -> str:
    try:
        document = json.loads(output)
    except ValueError:
        return ""
    return str(document.get("BackendState", ""))
