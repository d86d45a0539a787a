"""Pre-auth keys for the nodes that the deploy joins, and the relay's tailnet address: what only a running lab knows."""

from __future__ import annotations

import json

from lab import containers, engine, paths, tailnet
from lab.engine import Docker
from lab.topology import CONTROL, RELAY

_TAGS = {"stalwart": (("tag:stalwart",), True), "edge": (("tag:reverse-proxy",), False)}


def load(docker: Docker) -> dict[str, str]:
    """`stalwart`, `edge` and `relay_address`. Keys live as long as the control server that made them."""
    path = paths.state() / "keys.json"
    state = containers.kept_volume(CONTROL, "/var/lib/headscale")
    identity = docker.text("volume", "inspect", "--format", "{{.Name}} {{.CreatedAt}}", state)
    known: dict[str, str] = json.loads(path.read_text()) if path.is_file() else {}
    if known.get("control") != identity:
        made = {use: tailnet.auth_key(docker, tags, ephemeral=ephemeral) for use, (tags, ephemeral) in _TAGS.items()}
        known = {"control": identity, **made}
    # A recreated relay registers as a new node with a new address.
    address = docker.text(*engine.exec_arguments(RELAY.container, ["tailscale", "ip", "-4"]))
    known = {**known, "relay_address": address}
    paths.write_private(path, (json.dumps(known, indent=1) + "\n").encode())
    return known
