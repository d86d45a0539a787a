"""headscale's own HTTP API (v1), as far as the fake API needs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

_TIMEOUT = 10.0


class Refused(Exception):
    """headscale refused what it was given; the message is its own."""


@dataclass(frozen=True)
class Node:
    """A registered node."""

    id: str
    name: str
    user: str
    tags: tuple[str, ...]
    addresses: tuple[str, ...]
    online: bool
    ephemeral: bool
    document: dict[str, Any]


class Headscale:
    """A client of headscale. `key` is called for each request: the key file may be written after the API has started.

    Every method raises `Refused` with headscale's own message.
    """

    def __init__(self, url: str, key: Callable[[], str]) -> None:
        self._url = url.rstrip("/") + "/api/v1"
        self._key = key
        self._session = requests.Session()

    def policy(self) -> str | None:
        """The stored text, None when there never was one."""
        try:
            return str(self._call("GET", "/policy")["policy"])
        except Refused as refusal:
            if "not found" in str(refusal):
                return None
            raise

    def set_policy(self, text: str) -> None:
        """Store a text and activate it."""
        self._call("PUT", "/policy", {"policy": text})

    def check_policy(self, text: str) -> None:
        """Raises Refused with headscale's reason; nothing is stored."""
        self._call("POST", "/policy/check", {"policy": text})

    def nodes(self) -> list[Node]:
        """All registered nodes."""
        return [_node(document) for document in self._call("GET", "/node").get("nodes", [])]

    def delete_node(self, identity: str) -> None:
        """Remove a node from the tailnet."""
        self._call("DELETE", f"/node/{identity}")

    def auth_keys(self) -> list[dict[str, Any]]:
        """All auth keys, in headscale's shape."""
        return list(self._call("GET", "/preauthkey").get("preAuthKeys", []))

    def create_auth_key(self, tags: list[str], reusable: bool, ephemeral: bool, expires: datetime) -> dict[str, Any]:
        """A new auth key, with its secret text in `key`; `expires` is in UTC."""
        document = {
            "aclTags": tags,
            "reusable": reusable,
            "ephemeral": ephemeral,
            "expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return dict(self._call("POST", "/preauthkey", document)["preAuthKey"])

    def _call(self, method: str, path: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._key()}"}
        answer = self._session.request(method, self._url + path, json=document, headers=headers, timeout=_TIMEOUT)
        try:
            content = answer.json()
        except requests.JSONDecodeError:
            content = {"message": answer.text.strip() or f"headscale answered {answer.status_code}"}
        if answer.status_code >= 400:
            raise Refused(str(content.get("message", answer.status_code)))
        return dict(content)


def _node(document: dict[str, Any]) -> Node:
    user = document.get("user") or {}
    return Node(
        id=str(document["id"]),
        name=str(document.get("givenName") or document["name"]),
        user=str(user.get("email") or user.get("name") or ""),
        tags=tuple(document.get("tags") or ()),
        addresses=tuple(document.get("ipAddresses") or ()),
        online=bool(document.get("online")),
        ephemeral=bool((document.get("preAuthKey") or {}).get("ephemeral")),
        document=document,
    )
