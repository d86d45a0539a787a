"""Nodes of headscale as devices of Tailscale's API."""

from __future__ import annotations

from typing import Any

from lab.control.policy.headscale import Node


def device(node: Node) -> dict[str, Any]:
    """A node as a device. Only the members that clients of the API read; Tailscale's object has more."""
    expires = str(node.document.get("expiry") or "")
    return {
        "id": node.id,
        "nodeId": node.id,
        "name": f"{node.name}.tailnet.test",
        "hostname": node.name,
        "user": node.user,
        "addresses": list(node.addresses),
        "tags": list(node.tags),
        "authorized": True,
        "isExternal": False,
        "isEphemeral": node.ephemeral,
        "keyExpiryDisabled": bool(node.tags),
        "expires": expires,
        "created": str(node.document.get("createdAt") or ""),
        "lastSeen": str(node.document.get("lastSeen") or ""),
        "connectedToControl": node.online,
    }
