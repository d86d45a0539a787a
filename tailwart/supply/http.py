"""JSON over HTTP from public services, bounded and repeated where that is safe."""

from __future__ import annotations

from collections.abc import Mapping

import requests

from tailwart.errors import TailwartError
from tailwart.retries import Retries, retry_after

_TIMEOUTS = (5.0, 20.0)
_BUSY = frozenset({429, 500, 502, 503, 504})
_LARGEST = 16 * 1024 * 1024


def get(session: requests.Session, url: str, headers: Mapping[str, str] | None = None) -> requests.Response:
    """The answer to a GET, whatever its status; raises `TailwartError` when there is none."""
    retries = Retries(attempts=3, total_pause=20, request_seconds=sum(_TIMEOUTS))
    try:
        response = retries.call(
            lambda: session.get(url, headers=dict(headers or {}), timeout=_TIMEOUTS),
            transient_error=requests.RequestException,
            transient=lambda response: response.status_code in _BUSY,
            requested_pause=lambda response: retry_after(response.headers.get("Retry-After", "")),
        )
    except requests.RequestException as error:
        raise TailwartError(
            f"{url} cannot be reached", seen=type(error).__name__, remedy="check the network of this machine"
        ) from None
    if len(response.content) > _LARGEST:
        raise TailwartError(f"{url} answers with more than {_LARGEST >> 20} MB")
    return response


def succeed(response: requests.Response, what: str, remedy: str) -> requests.Response:
    """The response, if it is one; raises `TailwartError` with its status otherwise."""
    if response.ok:
        return response
    raise TailwartError(
        f"{what} failed", seen=f"HTTP {response.status_code} from {response.url}", expected="HTTP 200", remedy=remedy
    )
