"""The credentials of a request: API keys, OAuth clients and their one-hour tokens, with scopes.

The lab's own client and key come from lab.env; tests add narrower ones. Scope names are Tailscale's
(https://tailscale.com/kb/1623/trust-credentials#scopes).
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field

TOKEN_SECONDS = 3600
EVERYTHING = frozenset({"all"})


@dataclass(frozen=True)
class Client:
    """An OAuth client. `tags` are those that it may assign to the keys it creates."""

    id: str
    secret: str
    scopes: frozenset[str]
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Caller:
    """An authenticated request."""

    scopes: frozenset[str]
    client: Client | None = None

    def may(self, scope: str, write: bool) -> bool:
        """``x`` includes ``x:read``; ``all`` includes everything."""
        granted = {"all", scope} if write else {"all", "all:read", scope, f"{scope}:read"}
        return bool(granted & self.scopes)


@dataclass
class Credentials:
    """All accepted credentials. Tokens are kept in memory only: none survives a restart."""

    api_keys: set[str] = field(default_factory=set)
    clients: dict[str, Client] = field(default_factory=dict)
    _tokens: dict[str, tuple[float, Caller]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, client: Client) -> None:
        """Accept another client."""
        with self._lock:
            self.clients[client.id] = client

    def token(self, client_id: str, secret: str, scope: str) -> tuple[str, frozenset[str]] | None:
        """A new access token and its scopes, None for a wrong id, secret or scope. `scope` narrows; "" keeps all."""
        with self._lock:
            client = self.clients.get(client_id)
            if client is None or not secrets.compare_digest(client.secret, secret):
                return None
            asked = frozenset(scope.split())
            if not asked:
                asked = client.scopes
            elif "all" not in client.scopes and not asked <= client.scopes | {f"{s}:read" for s in client.scopes}:
                return None
            token = f"tskey-api-{client.id}-{secrets.token_urlsafe(24)}"
            self._tokens[token] = (time.monotonic() + TOKEN_SECONDS, Caller(asked, client))
            return token, asked

    def caller(self, token: str) -> Caller | None:
        """None for a token that is unknown or older than an hour."""
        with self._lock:
            if any(secrets.compare_digest(token.encode(), key.encode()) for key in self.api_keys):
                return Caller(EVERYTHING)
            expires, caller = self._tokens.get(token, (0.0, None))
            return caller if expires > time.monotonic() else None
