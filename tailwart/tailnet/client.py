"""The policy file over Tailscale's API: read with its ETag, validate, replace only what was read.

Every failure is a `TailwartError` that says whether something was written. Reads and validations are repeated when the
server is busy or broken, a write only when the server said that it did not happen; an unknown outcome is
`OutcomeUnknown`. The API: https://tailscale.com/api (policy file, keys, OAuth).
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from tailwart.errors import TailwartError
from tailwart.retries import Retries, retry_after

HUJSON = "application/hujson"
TIMEOUTS = (5.0, 15.0)
"""Seconds to connect, and to wait for an answer."""
SILENCE = 40.0
"""Seconds that a read may take in sum when nothing is answered: with a write before it, within a minute."""
_BUSY = frozenset({429, 500, 502, 503, 504})
# Only 429 says that a write did not happen; after a 5xx it may have.
_BUSY_FOR_A_WRITE = frozenset({429})
_SHA256 = re.compile(r'(?:W/)?"?([0-9a-f]{64})"?')


class Conflict(TailwartError):
    """The file changed after it was read (412); nothing was written."""


class OutcomeUnknown(TailwartError):
    """A write that may or may not have happened: time-out, lost connection, 5xx. Only reading again tells."""


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """The live text, and its ETag, which a write names in `If-Match`."""

    text: str
    etag: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a validation, true for an accepted file.

    ``problems`` are the reasons of a refusal as (source, error), ``notes`` are warnings of an accepted file.
    """

    message: str = ""
    problems: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return not self.message


@dataclass(frozen=True, slots=True)
class Credentials:
    """An OAuth client (preferred) or an API key."""

    client_id: str = ""
    client_secret: str = ""
    api_key: str = ""


class PolicyClient:
    """One session with the API of one tailnet (`-`: the one that the credential belongs to).

    ``timeouts`` are the seconds to connect and to wait for an answer; ``sleep`` makes the pauses between attempts.
    Every method raises `TailwartError` for a refused credential, an unreachable API and an unusable answer.
    """

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        timeouts: tuple[float, float] = TIMEOUTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._base = base_url.rstrip("/") + "/api/v2"
        self._credentials = credentials
        self._timeouts = timeouts
        self._retries = Retries(sleep=sleep, silence=SILENCE, request_seconds=sum(timeouts))
        self._session = requests.Session()
        self._token = ""

    def read(self) -> PolicyFile:
        """The live file. Raises `TailwartError` for anything that is not certainly the whole file."""
        response = self._call("GET", "/tailnet/-/acl", headers={"Accept": HUJSON}, what="read the policy")
        self._succeed(response, "read the policy", scope="policy_file:read")
        etag = response.headers.get("ETag", "")
        body = response.content
        if "html" in response.headers.get("Content-Type", "") or body.lstrip()[:1] == b"<":
            raise TailwartError(
                "The policy API answered with a web page, so nothing was written",
                seen=f"{response.headers.get('Content-Type', 'no content type')} from {self._base}",
                expected=f"the policy file as HuJSON ({HUJSON})",
                remedy="check TS_API_URL, and proxies between this machine and it",
            )
        if not etag:
            raise TailwartError(
                "The policy API sent no ETag, so nothing was written",
                expected="an ETag; without one, a write could undo another edit",
                remedy="check TS_API_URL, and proxies that strip headers",
            )
        digest = _SHA256.fullmatch(etag)
        if not body.strip() and digest and digest[1] != hashlib.sha256(body).hexdigest():
            raise _incomplete("an empty body whose ETag is that of another text")
        try:
            return PolicyFile(body.decode("utf-8"), etag)
        except UnicodeDecodeError as error:
            raise _incomplete(f"bytes that are not UTF-8 at offset {error.start}") from None

    def validate(self, text: str) -> Verdict:
        """The server's verdict on a text and its tests. The API sends a refusal as status 200 too."""
        response = self._call(
            "POST",
            "/tailnet/-/acl/validate",
            headers={"Content-Type": HUJSON, "Accept": "application/json"},
            data=text.encode(),
            what="validate the policy",
        )
        if response.status_code == 400:
            return Verdict(self._message(response))
        self._succeed(response, "validate the policy", scope="policy_file")
        if not response.content.strip():
            return Verdict()
        answer = self._json(response, "validate the policy")
        message = self._masked(str(answer.get("message") or ""))
        problems, notes = [], []
        for one in answer.get("data") or []:
            if isinstance(one, dict):
                source = str(one.get("user") or one.get("src") or "")
                problems += [(source, self._masked(str(text))) for text in one.get("errors") or []]
                notes += [self._masked(str(text)) for text in one.get("warnings") or []]
        # Groups that no identity provider synchronises come back as a warning, not as a refusal.
        if message.lower().startswith("warning"):
            return Verdict("", (), (*notes, *(text for _, text in problems)) or (message,))
        return Verdict(message, tuple(problems), tuple(notes))

    def write(self, text: str, etag: str) -> PolicyFile | None:
        """Replace the file that has this ETag; returns the stored file, None when the answer does not hold it.

        Raises `Conflict` for an ETag that is not the current one (RFC 9110 §13.1.1), `OutcomeUnknown` when only a read
        can say whether the file was replaced, and `TailwartError` for everything that certainly wrote nothing.
        """
        response = self._call(
            "POST",
            "/tailnet/-/acl",
            headers={"Content-Type": HUJSON, "Accept": HUJSON, "If-Match": etag},
            data=text.encode(),
            what="write the policy",
            write=True,
        )
        if response.status_code == 412:
            raise Conflict(
                "The policy changed after it was read; nothing was written",
                seen=f"412 Precondition Failed: the ETag is no longer {etag}",
            )
        if response.status_code >= 500:
            raise OutcomeUnknown("The policy API failed during the write", seen=self._seen(response))
        self._succeed(response, "write the policy", scope="policy_file")
        etag = response.headers.get("ETag", "")
        return PolicyFile(response.content.decode("utf-8", "replace"), etag) if etag and response.content else None

    def settings(self) -> dict[str, Any]:
        """The settings of the tailnet that the credential may see; none where the server has no such thing."""
        response = self._call(
            "GET", "/tailnet/-/settings", headers={"Accept": "application/json"}, what="read the tailnet's settings"
        )
        if response.status_code in (403, 404):
            return {}
        self._succeed(response, "read the tailnet's settings", scope="policy_file:read")
        return self._json(response, "read the tailnet's settings")

    def devices(self) -> list[dict[str, Any]] | None:
        """The devices of the tailnet; None where the credential may not see them (scope `devices:core:read`)."""
        response = self._call(
            "GET", "/tailnet/-/devices", headers={"Accept": "application/json"}, what="read the devices"
        )
        if response.status_code in (403, 404):
            return None
        self._succeed(response, "read the devices", scope="devices:core:read")
        return [
            item for item in self._json(response, "read the devices").get("devices") or [] if isinstance(item, dict)
        ]

    def key(self, key_id: str) -> tuple[int, dict[str, Any]]:
        """The status and the API's description of an auth key, API key or OAuth client; for 403 and 404 it is empty."""
        response = self._call(
            "GET", f"/tailnet/-/keys/{key_id}", headers={"Accept": "application/json"}, what="read a key"
        )
        if response.status_code in (403, 404):
            return response.status_code, {}
        self._succeed(response, "read a key", scope="auth_keys:read")
        return response.status_code, self._json(response, "read a key")

    def create_key(self, document: dict[str, Any]) -> dict[str, Any]:
        """The API's answer to a request for an auth key, its secret in `key`. A repeated request leaves one key more,
        which nobody knows and which expires."""
        response = self._call(
            "POST",
            "/tailnet/-/keys",
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            data=json.dumps(document).encode(),
            what="make an auth key",
        )
        self._succeed(response, "make an auth key", scope="auth_keys")
        return self._json(response, "make an auth key")

    def _call(
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
                    self._base + path,
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
                seen=f"{self._base}: {_reason(error)}, in up to {self._retries.attempts} attempts",
                expected=f"an answer within {self._timeouts[1]:g} s",
                remedy="check TS_API_URL and the network of this machine",
            ) from None
        pause = _requested_pause(response)
        if response.status_code in busy and pause is not None:
            raise TailwartError(
                f"The policy API asks to wait {pause:.0f} s before it will {what}; nothing was written",
                seen=self._seen(response),
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
                self._base + "/oauth/token", data=form, timeout=self._timeouts, allow_redirects=False
            ),
            "get a token",
        )
        if response.status_code in (400, 401, 403):
            raise TailwartError(
                "Tailscale refused the OAuth client",
                seen=self._seen(response),
                expected="an access token",
                remedy="check TS_OAUTH_CLIENT_ID and TS_OAUTH_CLIENT_SECRET (admin console: Settings, OAuth clients)",
            )
        self._succeed(response, "get a token", scope="")
        token = str(self._json(response, "get a token").get("access_token") or "")
        if not token:
            raise TailwartError("The answer to the token request holds no access_token", remedy="check TS_API_URL")
        return token

    def _succeed(self, response: requests.Response, what: str, scope: str) -> None:
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
            f"The policy API refused to {what}", seen=self._seen(response), expected=expected, remedy=remedy
        )

    def _json(self, response: requests.Response, what: str) -> dict[str, Any]:
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

    def _seen(self, response: requests.Response) -> str:
        return f"{response.status_code} {response.reason}: {self._message(response)}".rstrip(": ")

    def _message(self, response: requests.Response) -> str:
        try:
            answer = response.json()
        except requests.JSONDecodeError:
            return ""
        return self._masked(str(answer.get("message") or "")) if isinstance(answer, dict) else ""

    def _masked(self, text: str) -> str:
        """The server's text without the credentials, which it may repeat."""
        for secret in (self._credentials.client_secret, self._credentials.api_key, self._token):
            if secret:
                text = text.replace(secret, "********")
        return text[:2000]


def _incomplete(seen: str) -> TailwartError:
    return TailwartError(
        "The policy file did not arrive whole, so nothing was written",
        seen=seen,
        expected="the complete file as its ETag describes it",
        remedy="run again; if it fails again, check proxies between this machine and TS_API_URL",
    )


def _reason(error: requests.RequestException) -> str:
    # The exception's own text holds the whole URL and object addresses; its kind is what helps.
    kind = type(error).__name__
    return {"ReadTimeout": "no answer in time", "ConnectTimeout": "no connection in time"}.get(kind, kind)


def _requested_pause(response: requests.Response) -> float | None:
    return retry_after(response.headers.get("Retry-After", ""))
