"""Transport over plain HTTP, for a server that this host reaches itself."""

from __future__ import annotations

from collections.abc import Sequence

import requests

from tailwart.stalwart.protocol.failures import NotReachable
from tailwart.stalwart.protocol.transport import ACCOUNT, JMAP_PATH, SESSION_PATH, Response


class HttpTransport:
    """`base` such as `http://127.0.0.1:8080`; Basic auth; `timeout` in seconds for connecting and for each read."""

    def __init__(self, base: str, user: str, password: str, timeout: float = 30.0) -> None:
        self._base = base.rstrip("/")
        self._timeout = timeout
        self._session = requests.Session()
        self._session.auth = (user, password)
        # A proxy from the operator's environment must not see the administrator's login.
        self._session.trust_env = False
        self._account: str | None = None

    def exchange(self, bodies: Sequence[str]) -> list[Response]:
        """See `Transport`."""
        if self._account is None:
            session = self._ask("GET", SESSION_PATH).document()
            self._account = str(session.get("primaryAccounts", {}).get("urn:stalwart:jmap", ""))
        return [self._ask("POST", JMAP_PATH, body.replace(ACCOUNT, self._account)) for body in bodies]

    def _ask(self, method: str, path: str, body: str | None = None) -> Response:
        try:
            answer = self._session.request(
                method,
                self._base + path,
                data=body.encode() if body is not None else None,
                headers={"Content-Type": "application/json"} if body is not None else None,
                timeout=self._timeout,
            )
            return Response(answer.status_code, answer.text)
        except requests.exceptions.Timeout:
            raise NotReachable(
                f"Stalwart at {self._base} does not answer",
                seen=f"nothing within {self._timeout:g} s",
                remedy="read the server's log on the mailbox host: `docker logs --tail 50 stalwart`",
            ) from None
        except requests.exceptions.ChunkedEncodingError:
            raise NotReachable(f"Stalwart at {self._base} broke off its answer", remedy="run this again") from None
        except requests.exceptions.ConnectionError as error:
            raise NotReachable(
                f"Stalwart at {self._base} cannot be reached",
                seen=_reason(error),
                remedy="check that the server runs and listens on 8080",
            ) from None


def _reason(error: requests.exceptions.ConnectionError) -> str:
    text = str(error)
    for known in ("Connection refused", "Name or service not known", "IncompleteRead", "Connection aborted"):
        if known in text:
            return known
    return type(error).__name__
