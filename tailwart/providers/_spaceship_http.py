"""HTTP to Spaceship: one kept connection, the rate limit respected, every failure with what to check."""

from __future__ import annotations

from time import sleep
from typing import Any

import requests

from tailwart import __version__
from tailwart.errors import TailwartError
from tailwart.providers.definition import Notify
from tailwart.retries import Retries, retry_after

TIMEOUT = (5.0, 20.0)
"""Seconds to connect and to wait for an answer."""

RATE_WINDOW = 300.0
"""Seconds of Spaceship's rate limit: 300 requests in each. No wait needs to be longer."""

_ATTEMPTS = 4
_DETAIL = 300
"""Characters of the API's own words that a message repeats, and how many of its complaints."""
_COMPLAINTS = 8


class NotFound(TailwartError):
    """404: the zone, or the records of a delete, are not there."""


class Client:
    """Requests below one base URL. The credentials are in headers only and in no message."""

    def __init__(self, base_url: str, key: str, secret: str, notify: Notify) -> None:
        self._base_url = base_url.rstrip("/")
        self._notify = notify
        self._session = requests.Session()
        self._session.headers.update(
            {"X-Api-Key": key, "X-Api-Secret": secret, "User-Agent": f"tailwart/{__version__}"}
        )
        # A .netrc or a proxy variable of the operator's shell must not replace these credentials.
        self._session.auth = lambda request: request

    def call(
        self, method: str, path: str, *, zone: str, params: dict[str, str | int] | None = None, body: Any = None
    ) -> Any:
        """One request, repeated where that is safe: every method here is idempotent by Spaceship's record keys."""
        limited = False

        def send() -> requests.Response:
            try:
                return self._session.request(
                    method, f"{self._base_url}{path}", params=params, json=body, timeout=TIMEOUT, allow_redirects=False
                )
            except requests.RequestException:
                raise
            except ValueError as error:
                # The library reads a redirect's address even where it must not follow it.
                raise requests.exceptions.InvalidURL(f"a redirect to nowhere: {error}") from error

        def transient(response: requests.Response) -> bool:
            nonlocal limited
            limited = response.status_code == 429
            return limited or response.status_code >= 500

        def pause(seconds: float) -> None:
            if limited:
                self._notify(f"Spaceship's rate limit is reached, going on in {seconds:.0f} s")
            sleep(seconds)

        retries = Retries(
            _ATTEMPTS, first_pause=1.0, total_pause=RATE_WINDOW + 30, sleep=pause, request_seconds=sum(TIMEOUT)
        )
        try:
            response = retries.call(
                send, transient_error=requests.RequestException, transient=transient, requested_pause=_requested_pause
            )
        except requests.RequestException as error:
            raise self._unreachable(error, method) from error
        if response.status_code >= 300:
            raise self._refused(response, zone, method)
        return self._document(response) if method == "GET" else None

    def _document(self, response: requests.Response) -> Any:
        try:
            return response.json()
        except (ValueError, RecursionError) as error:
            raise TailwartError(
                f"Spaceship's API at {self._base_url} answered with something else than JSON",
                seen=f"HTTP {response.status_code}, {response.headers.get('Content-Type', 'no content type')}",
                remedy="check SPACESHIP_API_URL (https://spaceship.dev/api/v1)",
            ) from error

    def _unreachable(self, error: requests.RequestException, method: str) -> TailwartError:
        timed_out = isinstance(error, requests.Timeout)
        reading = method == "GET"
        return TailwartError(
            f"Spaceship's API at {self._base_url} {'did not answer in time' if timed_out else 'cannot be reached'}",
            seen=f"{type(error).__name__} in up to {_ATTEMPTS} attempts",
            remedy="check SPACESHIP_API_URL and this machine's way to it; nothing was changed"
            if reading
            else "what was written stands; run again, the rest is finished",
        )

    def _refused(self, response: requests.Response, zone: str, method: str) -> TailwartError:
        status = response.status_code
        seen = f"HTTP {status}{_detail(response)}"
        if status == 401:
            return TailwartError(
                "Spaceship refused the API key",
                seen=seen,
                expected="a key that this machine's address may use",
                lesson=2,
                remedy="check SPACESHIP_API_KEY and SPACESHIP_API_SECRET in .env, whether the key still exists in "
                "Spaceship's API manager, and its list of allowed addresses",
            )
        if status == 403:
            needed = "dnsrecords:read" if method == "GET" else "dnsrecords:write"
            return TailwartError(
                f"Spaceship's API key may not {'read' if method == 'GET' else 'change'} the zone {zone}",
                seen=seen,
                expected=f"a key with the scope {needed}",
                remedy="add the scope to the key in Spaceship's API manager, or make another key",
            )
        if status == 404:
            return NotFound(
                f"Spaceship does not know the zone {zone}" if method == "GET" else f"records of {zone} are not there",
                seen=seen,
                remedy=f"check DOMAIN and EXTRA_DOMAINS, and that {zone} is in this Spaceship account",
            )
        if status == 429:
            return TailwartError(
                "Spaceship's rate limit stays reached",
                seen=seen,
                expected="300 requests in 300 s",
                remedy="run again later",
            )
        return TailwartError(
            f"Spaceship {'failed' if status >= 500 else 'refused the request'} ({method} {zone})",
            seen=seen,
            remedy="run again; what was written stands" if status >= 500 else "correct the record that is named",
        )


def _requested_pause(response: requests.Response) -> float | None:
    """Seconds that the rate limit asks for, at least one; the whole window when it does not say."""
    if response.status_code != 429:
        return None
    asked = retry_after(response.headers.get("Retry-After", ""))
    return min(max(1.0, RATE_WINDOW if asked is None else asked), RATE_WINDOW)


def _detail(response: requests.Response) -> str:
    """The API's own words: `detail`, and the fields it complains about."""
    try:
        document = response.json()
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict):
        return ""
    parts = [str(document.get("detail") or "")[:_DETAIL]]
    code = response.headers.get("spaceship-error-code")
    complaints = document.get("data")
    for complaint in complaints if isinstance(complaints, list) else []:
        if isinstance(complaint, dict):
            parts.append(f"{complaint.get('field')}: {complaint.get('details')}"[:_DETAIL])
    text = "; ".join(part for part in [*parts[:_COMPLAINTS], code or ""] if part)
    return f": {text}" if text else ""
