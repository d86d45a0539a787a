"""How a request reaches Stalwart: the interface of a transport, and the answer that it brings back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tailwart.stalwart.protocol.failures import LoginRefused, NotReachable

# Stands in a body for the account id, which only the session document of the login in use holds.
ACCOUNT = "@account@"
JMAP_PATH = "/jmap/"
SESSION_PATH = "/jmap/session"


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP status and its body."""

    status: int
    body: str

    def document(self) -> Mapping[str, Any]:
        """The JSON of a successful answer.

        Raises LoginRefused for 401, NotReachable for every other status and for a body that is no JSON object: a
        truncated answer must never be taken for an empty server.
        """
        if self.status == 401:
            raise LoginRefused(
                "Stalwart refused the administrator's login",
                seen="HTTP 401",
                remedy="check STALWART_ADMIN and STALWART_ADMIN_PASSWORD in .env, or run `tailwart recover`",
            )
        if self.status == 429:
            raise NotReachable(
                "Stalwart limits the rate of requests", seen="HTTP 429", remedy="wait a minute and run this again"
            )
        if self.status != 200:
            raise NotReachable(
                "Stalwart answered with an error",
                seen=f"HTTP {self.status}: {_detail(self.body)}",
                expected="HTTP 200 with a JMAP answer",
                remedy="read the server's log on the mailbox host: `docker logs --tail 50 stalwart`",
            )
        try:
            document = json.loads(self.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise NotReachable(
                "Stalwart's answer is incomplete",
                seen=f"{len(self.body)} characters that are not a JSON document",
                remedy="run this again; if it persists, read `docker logs --tail 50 stalwart` on the mailbox host",
            )
        return document


class Transport(Protocol):
    """Carries requests to one server with one login; raises NotReachable when there is no HTTP answer."""

    def exchange(self, bodies: Sequence[str]) -> list[Response]:
        """POST each body as JSON, in order, with `ACCOUNT` replaced by the account id of the session."""
        ...


def _detail(body: str) -> str:
    try:
        document = json.loads(body)
        return str(document.get("detail") or document.get("title") or document)[:200]
    except (ValueError, AttributeError):
        return body[:200].strip() or "(empty)"
