"""Faults on demand and a record of requests, as one WSGI layer around every fake API.

Administration (header ``X-Lab-Admin: TOKEN`` when the API has a token, otherwise from loopback only):

    POST   /lab/faults    one fault or a list of faults, see :class:`Fault` → 201
    GET    /lab/faults    the faults that are still armed
    DELETE /lab/faults    disarms all → 204
    GET    /lab/requests  ``[{"method","path","query","status","fault"}]`` since the last DELETE
    DELETE /lab/requests  → 204
    *      /lab/…         what the API itself offers to tests
    GET    /lab/health    ``{"healthy": true}``, never subject to faults
"""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from http import HTTPStatus
from io import BytesIO
from typing import Any, Literal, get_args

_LOG = logging.getLogger(__name__)

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Kind = Literal["status", "html", "truncate", "slow", "cut", "cut-after"]


@dataclass
class Fault:
    """How matching requests misbehave.

    kind:    ``status`` answers `status` with `body` or the API's own error document; ``html`` answers `status`
             (default 200) with a web page; ``truncate`` closes the connection in the middle of the real answer;
             ``slow`` waits `seconds` first; ``cut`` closes the connection before the request has any effect,
             ``cut-after`` after it.
    method:  only this method ("" = any).
    path:    regular expression searched for in the path ("" = any).
    times:   how many requests are hit (None = all until disarmed).
    skip:    how many matching requests pass unharmed first.
    execute: for ``status`` and ``html``: the request takes effect, only its answer is lost.
    """

    kind: Kind
    method: str = ""
    path: str = ""
    times: int | None = None
    skip: int = 0
    status: int = 0
    seconds: float = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    execute: bool = False

    @classmethod
    def parse(cls, document: object) -> Fault:
        """A fault from its JSON document. Raises ValueError or TypeError that names the wrong member."""
        if not isinstance(document, dict):
            raise TypeError(f"a fault is an object, not {type(document).__name__}")
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(document) - known):
            raise ValueError(f"unknown members {unknown}, known: {sorted(known)}")
        if document.get("kind") not in get_args(Kind):
            raise ValueError(f"kind is {document.get('kind')!r}, expected one of {list(get_args(Kind))}")
        try:
            re.compile(document.get("path", ""))
        except re.error as error:
            raise ValueError(f"path is no regular expression: {error}") from error
        fault = cls(**document)
        if fault.status == 0:
            fault.status = 200 if fault.kind == "html" else 500
        return fault

    def hits(self, method: str, path: str) -> bool:
        """Whether this request is hit. Each call counts: it lowers `skip` or `times`."""
        if self.times == 0 or (self.method and self.method != method) or not re.search(self.path, path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Faults:
    """The WSGI layer. `error_document` renders a status as the API would: (content type, body)."""

    def __init__(self, app: WsgiApp, error_document: Callable[[int], tuple[str, bytes]], token: str = "") -> None:
        self._app = app
        self._error_document = error_document
        self._token = token
        self._lock = threading.Lock()
        self._armed: list[Fault] = []
        self._requests: list[dict[str, Any]] = []

    def arm(self, fault: Fault) -> None:
        """Add a fault, for tests in the same process."""
        with self._lock:
            self._armed.append(fault)

    def disarm(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._armed.clear()

    @property
    def requests(self) -> list[dict[str, Any]]:
        """A copy of the record, as at `/lab/requests`."""
        with self._lock:
            return list(self._requests)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        # Read the body whole: an unread one would be taken for the next request of a kept-alive connection.
        body = _read_body(environ)
        environ["wsgi.input"] = BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        path = environ.get("PATH_INFO", "/")
        if path.startswith("/lab/"):
            return self._administration(environ, start_response, path, body)
        fault = self._next_fault(environ["REQUEST_METHOD"], path)
        record: dict[str, Any] = {
            "method": environ["REQUEST_METHOD"],
            "path": path,
            "query": environ.get("QUERY_STRING", ""),
            "status": None,
            "fault": fault.kind if fault else None,
        }
        with self._lock:
            self._requests.append(record)
        if fault is None:
            status, headers, content = self._run(environ)
        else:
            if fault.kind == "slow":
                time.sleep(fault.seconds)
            if fault.kind == "cut":
                return _cut(environ, start_response)
            if fault.kind in {"slow", "truncate", "cut-after"} or fault.execute:
                status, headers, content = self._run(environ)
            if fault.kind == "cut-after":
                return _cut(environ, start_response)
            if fault.kind in {"status", "html"}:
                status, headers, content = self._replacement(fault)
        record["status"] = int(status.split(" ", 1)[0])
        # Without the query of a token request or any header: no secret reaches the journal.
        _LOG.info("%s %s: %s", record["method"], path, status)
        start_response(status, headers)
        if fault is not None and fault.kind == "truncate":
            return _half(environ, content)
        return [content]

    def _next_fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            hit = next((fault for fault in self._armed if fault.hits(method, path)), None)
            self._armed = [fault for fault in self._armed if fault.times != 0]
            return hit

    def _run(self, environ: Environ) -> tuple[str, Headers, bytes]:
        answer: list[tuple[str, Headers]] = []
        parts = self._app(environ, lambda status, headers, _exc=None: answer.append((status, headers)))
        content = b"".join(parts)
        status, headers = answer[-1]
        if status[:3] not in {"204", "304"}:
            headers = [h for h in headers if h[0].lower() != "content-length"] + [("Content-Length", str(len(content)))]
        return status, headers, content

    def _replacement(self, fault: Fault) -> tuple[str, Headers, bytes]:
        if fault.kind == "html":
            page = "<!DOCTYPE html><html><body><h1>Please wait…</h1></body></html>"
            content_type, content = "text/html; charset=utf-8", (fault.body or page).encode()
        else:
            content_type, content = self._error_document(fault.status)
            if fault.body is not None:
                content = fault.body.encode()
        headers = {"Content-Type": content_type, "Content-Length": str(len(content)), **fault.headers}
        return _status_line(fault.status), list(headers.items()), content

    def _administration(
        self, environ: Environ, start_response: Callable[..., Any], path: str, body: bytes
    ) -> Iterable[bytes]:
        if path not in {"/lab/health", "/lab/faults", "/lab/requests"} and self._admitted(environ):
            # What a fake API offers to a test beyond faults.
            own_status, own_headers, own_content = self._run(environ)
            start_response(own_status, own_headers)
            return [own_content]
        status, document = self._administer(environ, path, body)
        content = b"" if document is None else json.dumps(document).encode()
        headers = [("Content-Type", "application/json")]
        if status != 204:
            headers.append(("Content-Length", str(len(content))))
        start_response(_status_line(status), headers)
        return [content]

    def _administer(self, environ: Environ, path: str, body: bytes) -> tuple[int, object]:
        method = environ["REQUEST_METHOD"]
        if path == "/lab/health":
            return 200, {"healthy": True}
        if not self._admitted(environ):
            return 403, {"message": "X-Lab-Admin is missing or wrong"}
        if (method, path) == ("POST", "/lab/faults"):
            return self._arm(body)
        with self._lock:
            lists: dict[str, list[Any]] = {"/lab/faults": self._armed, "/lab/requests": self._requests}
            found = lists.get(path)
            if found is None or method not in {"GET", "DELETE"}:
                return 404, {"message": f"{method} {path} is no administration endpoint"}
            if method == "DELETE":
                found.clear()
                return 204, None
            return 200, [asdict(item) if isinstance(item, Fault) else item for item in found]

    def _arm(self, body: bytes) -> tuple[int, object]:
        try:
            document = json.loads(body)
            faults = [Fault.parse(item) for item in (document if isinstance(document, list) else [document])]
        except (ValueError, TypeError) as error:
            return 400, {"message": str(error)}
        with self._lock:
            self._armed.extend(faults)
        return 201, [asdict(fault) for fault in faults]

    def _admitted(self, environ: Environ) -> bool:
        if self._token:
            return bool(environ.get("HTTP_X_LAB_ADMIN") == self._token)
        return environ.get("REMOTE_ADDR") in {None, "127.0.0.1", "::1", "::ffff:127.0.0.1"}


def _read_body(environ: Environ) -> bytes:
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        return bytes(stream.read())
    return bytes(stream.read(int(environ.get("CONTENT_LENGTH") or 0)))


def _status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else f"{status} Fault"


def _close(environ: Environ) -> None:
    connection = environ.get("lab.socket")
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)


def _cut(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    _close(environ)
    start_response("500 Cut", [("Content-Length", "0"), ("Connection", "close")])
    return [b""]


def _half(environ: Environ, content: bytes) -> Iterator[bytes]:
    yield content[: len(content) // 2]
    _close(environ)
