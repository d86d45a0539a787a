"""Requests to Tailscale's API: the access token, repeats while that is safe, and what its refusals mean.

Reads are repeated when the server is busy or broken, a write only when the server said that it did not happen; an
unknown outcome is `OutcomeUnknown`. The API: https://tailscale.com/api (OAuth, errors).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from tailwart.errors import TailwartError
from tailwart.retries import Retries, retry_after

TIMEOUTS = (5.0, 15.0)
"""Seconds to connect, and to wait for an answer."""
SILENCE = 40.0
"""Seconds that a read may take in sum when nothing is answered: with a write before it, within a minute."""
_BUSY = frozenset({429, 500, 502, 503, 504})
# Only 429 says that a write did not happen; after a 5xx it may have.
_BUSY_FOR_A_WRITE = frozenset({429})


class OutcomeUnknown(TailwartError):
    """A write that may or may not have happened: time-out, lost connection, 5xx. Only reading again tells."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """An OAuth client (preferred) or an API key."""

    client_id: str = ""
    client_secret: str = ""
    api_key: str = ""


class Session:
    """Requests with one credential, which no text that comes back repeats."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        timeouts: tuple[float, float] = TIMEOUTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base = base_url.rstrip("/") + "/api/v2"
        self._credentials = credentials
        self._timeouts = timeouts
        self._retries = Retries(sleep=sleep, silence=SILENCE, request_seconds=sum(timeouts))
        self._session = requests.Session()
        self._token = ""

    def call(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str],
        what: str,
        data: bytes | None = None,
        write: bool = False,
    ) -> requests.Response:
        """One request with the token; repeated while that is safe."""

        def send() -> requests.Response:
            try:
                return self._session.request(
                    method,
                    self.base + path,
                    headers={**headers, "Authorization": f"Bearer {self._access_token()}"},
                    data=data,
                    timeout=self._timeouts,
                    allow_redirects=False,
                )
            except requests.ConnectTimeout:
                raise
            except requests.RequestException as error:
                if write:
                    raise OutcomeUnknown("The connection broke during the write", seen=_reason(error)) from None
                raise

        return self._repeat(send, what, _BUSY_FOR_A_WRITE if write else _BUSY)

    def _repeat(
        self, send: Callable[[], requests.Response], what: str, busy: frozenset[int] = _BUSY
    ) -> requests.Response:
        try:
            response = self._retries.call(
                send,
                transient_error=requests.RequestException,
                transient=lambda response: response.status_code in busy,
                requested_pause=_requested_pause,
            )
        except requests.RequestException as error:
            raise TailwartError(
                f"The policy API could not be reached to {what}; nothing was written",
                seen=f"{self.base}: {_reason(error)}, in up to {self._retries.attempts} attempts",
                expected=f"an answer within {self._timeouts[1]:g} s",
                remedy="check TS_API_URL and the network of this machine",
            ) from None
        pause = _requested_pause(response)
        if response.status_code in busy and pause is not None:
            raise TailwartError(
                f"The policy API asks to wait {pause:.0f} s before it will {what}; nothing was written",
                seen=self.seen(response),
                expected=f"at most {self._retries.total_pause:.0f} s in {self._retries.attempts} attempts",
                remedy="run again after that time",
            )
        return response

    def _access_token(self) -> str:
        if self._credentials.api_key and not self._credentials.client_id:
            return self._credentials.api_key
        if not self._token:
            self._token = self._fetch_token()
        return self._token

    def _fetch_token(self) -> str:
        form = {"client_id": self._credentials.client_id, "client_secret": self._credentials.client_secret}
        response = self._repeat(
            lambda: self._session.post(
                self.base + "/oauth/token", data=form, timeout=self._timeouts, allow_redirects=False
            ),
            "get a token",
        )
        if response.status_code in (400, 401, 403):
            raise TailwartError(
                "Tailscale refused the OAuth client",
                seen=self.seen(response),
                expected="an access token",
                remedy="check TS_OAUTH_CLIENT_ID and TS_OAUTH_CLIENT_SECRET (admin console: Settings, OAuth clients)",
            )
        self.succeed(response, "get a token", scope="")
        token = str(self.json(response, "get a token").get("access_token") or "")
        if not token:
            raise TailwartError("The answer to the token request holds no access_token", remedy="check TS_API_URL")
        return token

    def succeed(self, response: requests.Response, what: str, scope: str) -> None:
        """Raise `TailwartError` for every status but 2xx; ``scope`` is what the credential needs for ``what``."""
        status = response.status_code
        if 200 <= status < 300:
            return
        expected, remedy = "an answer with status 200", "try again later; nothing was written"
        if status == 401:
            key = "TS_OAUTH_CLIENT_SECRET" if self._credentials.client_id else "TS_API_KEY"
            expected, remedy = "a valid credential", f"renew {key}: API keys expire after 90 days at most"
        elif status == 403:
            expected = f"a credential with the scope {scope}"
            remedy = "give the OAuth client the scope policy_file (admin console: Settings, OAuth clients)"
        elif status == 404:
            expected = "the tailnet of the credential"
            remedy = "check TS_API_URL, and that the credential belongs to a tailnet that still exists"
        elif 300 <= status < 400:
            remedy = "set TS_API_URL to the address it redirects to; nothing was written"
        elif status == 400:
            expected, remedy = "a request that the API accepts", "read its message above; nothing was written"
        raise TailwartError(
            f"The policy API refused to {what}", seen=self.seen(response), expected=expected, remedy=remedy
        )

    def json(self, response: requests.Response, what: str) -> dict[str, Any]:
        """The JSON object of an answer; raises `TailwartError` for anything else."""
        try:
            answer = response.json()
        except requests.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict):
            raise TailwartError(
                f"The policy API's answer to {what} is not JSON; nothing was written",
                seen=f"{response.headers.get('Content-Type', 'no content type')}, {len(response.content)} bytes",
                expected="a JSON object",
                remedy="check TS_API_URL, and proxies between this machine and it",
            )
        return answer

    def seen(self, response: requests.Response) -> str:
        """Status and message, as an error shows them."""
        return f"{response.status_code} {response.reason}: {self.message(response)}".rstrip(": ")

    def message(self, response: requests.Response) -> str:
        """What the server says of a refusal, empty when it says nothing."""
        try:
            answer = response.json()
        except requests.JSONDecodeError:
            return ""
        return self.masked(str(answer.get("message") or "")) if isinstance(answer, dict) else ""

    def masked(self, text: str) -> str:
        """The server's text without the credentials, which it may repeat."""
        for secret in (self._credentials.client_secret, self._credentials.api_key, self._token):
            if secret:
                text = text.replace(secret, "********")
        return text[:2000]


def _reason(error: requests.RequestException) -> str:
    # The exception's own text holds the whole URL and object addresses; its kind is what helps.
    kind = type(error).__name__
    return {"ReadTimeout": "no answer in time", "ConnectTimeout": "no connection in time"}.get(kind, kind)


def _requested_pause(response: requests.Response) -> float | None:
    return retry_after(response.headers.get("Retry-After", ""))
