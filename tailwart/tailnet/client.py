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

from tailwart.errors import TailwartError
from tailwart.tailnet.requesting import TIMEOUTS, Credentials, OutcomeUnknown, Session

HUJSON = "application/hujson"
_SHA256 = re.compile(r'(?:W/)?"?([0-9a-f]{64})"?')


class Conflict(TailwartError):
    """The file changed after it was read (412); nothing was written."""


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
        self._api = Session(base_url, credentials, timeouts=timeouts, sleep=sleep)

    def read(self) -> PolicyFile:
        """The live file. Raises `TailwartError` for anything that is not certainly the whole file."""
        response = self._api.call("GET", "/tailnet/-/acl", headers={"Accept": HUJSON}, what="read the policy")
        self._api.succeed(response, "read the policy", scope="policy_file:read")
        etag = response.headers.get("ETag", "")
        body = response.content
        if "html" in response.headers.get("Content-Type", "") or body.lstrip()[:1] == b"<":
            raise TailwartError(
                "The policy API answered with a web page, so nothing was written",
                seen=f"{response.headers.get('Content-Type', 'no content type')} from {self._api.base}",
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
        response = self._api.call(
            "POST",
            "/tailnet/-/acl/validate",
            headers={"Content-Type": HUJSON, "Accept": "application/json"},
            data=text.encode(),
            what="validate the policy",
        )
        if response.status_code == 400:
            return Verdict(self._api.message(response))
        self._api.succeed(response, "validate the policy", scope="policy_file")
        if not response.content.strip():
            return Verdict()
        answer = self._api.json(response, "validate the policy")
        message = self._api.masked(str(answer.get("message") or ""))
        problems, notes = [], []
        for one in answer.get("data") or []:
            if isinstance(one, dict):
                source = str(one.get("user") or one.get("src") or "")
                problems += [(source, self._api.masked(str(text))) for text in one.get("errors") or []]
                notes += [self._api.masked(str(text)) for text in one.get("warnings") or []]
        # Groups that no identity provider synchronises come back as a warning, not as a refusal.
        if message.lower().startswith("warning"):
            return Verdict("", (), (*notes, *(text for _, text in problems)) or (message,))
        return Verdict(message, tuple(problems), tuple(notes))

    def write(self, text: str, etag: str) -> PolicyFile | None:
        """Replace the file that has this ETag; returns the stored file, None when the answer does not hold it.

        Raises `Conflict` for an ETag that is not the current one (RFC 9110 §13.1.1), `OutcomeUnknown` when only a read
        can say whether the file was replaced, and `TailwartError` for everything that certainly wrote nothing.
        """
        response = self._api.call(
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
            raise OutcomeUnknown("The policy API failed during the write", seen=self._api.seen(response))
        self._api.succeed(response, "write the policy", scope="policy_file")
        etag = response.headers.get("ETag", "")
        return PolicyFile(response.content.decode("utf-8", "replace"), etag) if etag and response.content else None

    def settings(self) -> dict[str, Any]:
        """The settings of the tailnet that the credential may see; none where the server has no such thing."""
        response = self._api.call(
            "GET", "/tailnet/-/settings", headers={"Accept": "application/json"}, what="read the tailnet's settings"
        )
        if response.status_code in (403, 404):
            return {}
        self._api.succeed(response, "read the tailnet's settings", scope="policy_file:read")
        return self._api.json(response, "read the tailnet's settings")

    def devices(self) -> list[dict[str, Any]] | None:
        """The devices of the tailnet; None where the credential may not see them (scope `devices:core:read`)."""
        response = self._api.call(
            "GET", "/tailnet/-/devices", headers={"Accept": "application/json"}, what="read the devices"
        )
        if response.status_code in (403, 404):
            return None
        self._api.succeed(response, "read the devices", scope="devices:core:read")
        return [
            item for item in self._api.json(response, "read the devices").get("devices") or [] if isinstance(item, dict)
        ]

    def key(self, key_id: str) -> tuple[int, dict[str, Any]]:
        """The status and the API's description of an auth key, API key or OAuth client; for 403 and 404 it is empty."""
        response = self._api.call(
            "GET", f"/tailnet/-/keys/{key_id}", headers={"Accept": "application/json"}, what="read a key"
        )
        if response.status_code in (403, 404):
            return response.status_code, {}
        self._api.succeed(response, "read a key", scope="auth_keys:read")
        return response.status_code, self._api.json(response, "read a key")

    def create_key(self, document: dict[str, Any]) -> dict[str, Any]:
        """The API's answer to a request for an auth key, its secret in `key`. A repeated request leaves one key more,
        which nobody knows and which expires."""
        response = self._api.call(
            "POST",
            "/tailnet/-/keys",
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            data=json.dumps(document).encode(),
            what="make an auth key",
        )
        self._api.succeed(response, "make an auth key", scope="auth_keys")
        return self._api.json(response, "make an auth key")


def _incomplete(seen: str) -> TailwartError:
    return TailwartError(
        "The policy file did not arrive whole, so nothing was written",
        seen=seen,
        expected="the complete file as its ETag describes it",
        remedy="run again; if it fails again, check proxies between this machine and TS_API_URL",
    )
