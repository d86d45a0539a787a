"""Auth keys in Tailscale's shape, minted by headscale, and the trust credentials that may own tags."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.control.policy.credentials import Client, Credentials
from lab.control.policy.headscale import Headscale
from lab.control.policy.store import Rejected

_DEFAULT_SECONDS = 90 * 86400


class KeyRegistry:
    """Ids: the public part of a key's text (``hskey-auth-ID-…``, ``tskey-client-ID-…``), as on Tailscale."""

    def __init__(self, headscale: Headscale, credentials: Credentials) -> None:
        self._headscale = headscale
        self._credentials = credentials

    def list(self) -> list[dict[str, Any]]:
        """All keys without their secrets."""
        auth = [_auth_key(key) for key in self._headscale.auth_keys()]
        return auth + [_client_key(client) for client in self._credentials.clients.values()]

    def get(self, identity: str) -> dict[str, Any] | None:
        """One key by its id; None for an unknown one."""
        # An id of headscale may contain a hyphen; a client that cuts a key at its hyphens asks for the part before it.
        return next((key for key in self.list() if f"{key['id']}-".startswith(f"{identity}-")), None)

    def create(self, document: dict[str, Any], client: Client | None) -> dict[str, Any]:
        """A new auth key. Raises Rejected for a client that asks for no tags, or for tags that are not its own."""
        requested = document.get("capabilities", {}).get("devices", {}).get("create", {})
        tags = list(requested.get("tags", []))
        if client is not None and not tags:
            raise Rejected("tags are required when an auth key is created by an OAuth client")
        if client is not None and (others := [tag for tag in tags if tag not in client.tags]):
            raise Rejected(f"requested tags {others} are invalid or not permitted")
        expires = datetime.now(UTC) + timedelta(seconds=int(document.get("expirySeconds") or _DEFAULT_SECONDS))
        key = self._headscale.create_auth_key(
            tags, bool(requested.get("reusable")), bool(requested.get("ephemeral")), expires
        )
        return _auth_key(key) | {"key": key["key"], "description": document.get("description", "")}


def _auth_key(key: dict[str, Any]) -> dict[str, Any]:
    public = re.match(r"hskey-auth-([\w-]{12})-", str(key.get("key", "")), re.ASCII)
    expires = str(key.get("expiration", ""))
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    used_up = bool(key.get("used")) and not key.get("reusable")
    return {
        "id": public[1] if public else str(key["id"]),
        "keyType": "auth",
        "created": key.get("createdAt", ""),
        "expires": expires,
        "capabilities": {
            "devices": {
                "create": {
                    "reusable": bool(key.get("reusable")),
                    "ephemeral": bool(key.get("ephemeral")),
                    "preauthorized": True,
                    "tags": list(key.get("aclTags") or []),
                }
            }
        },
        "description": "",
        "invalid": used_up or expires < now,
    }


def _client_key(client: Client) -> dict[str, Any]:
    return {
        "id": client.id,
        "keyType": "client",
        "scopes": sorted(client.scopes),
        "tags": list(client.tags),
        "description": "",
        "invalid": False,
    }
