"""Routes of the Spaceship API, base path ``/api/v1``.

    GET    /dns/records/{domain}?take=1..500&skip=N[&orderBy=…]   {"items", "total"}
    PUT    /dns/records/{domain}   {"force", "items"} → 204
    DELETE /dns/records/{domain}   a bare array → 204

Errors are problem documents ``{"detail", "data"}`` with the code in the header ``spaceship-error-code``.
Not modelled: the other resources of the API (domains, contacts).
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import deque
from http import HTTPStatus
from itertools import count
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from lab.control.faults import Faults
from lab.control.spaceship.items import Problem, canonical, problems
from lab.control.spaceship.publisher import PublishError
from lab.control.spaceship.registry import Gone, Registry, Unprocessable

_CODES = {
    401: ("application.unauthorized", "The API key or secret is invalid, or the address is not allowed to use it"),
    403: ("application.forbidden", "The API key lacks the permission for this operation"),
    404: ("application.notFound", "Not found"),
    422: ("application.validation", "The request is not valid"),
    429: ("application.rateLimit", "Too many requests"),
    500: ("application.internal", "Internal server error"),
}
_TURN = 7
_MOST_ITEMS = 500
_ORDERS = {"type": ("type", False), "-type": ("type", True), "name": ("name", False), "-name": ("name", True)}


def error_document(status: int) -> tuple[str, bytes]:
    """The API's error document for `status`, for faults: (content type, body)."""
    return "application/problem+json", json.dumps({"detail": _CODES.get(status, _CODES[500])[1], "data": []}).encode()


def create_app(
    registry: Registry, key: str, secret: str, rate: tuple[int, float] = (300, 300.0), token: str = ""
) -> Faults:
    """The WSGI application with its fault layer; `rate` is (requests, seconds), `token` opens fault administration."""
    app = Flask("lab.control.spaceship")
    limit = _RateLimit(*rate)
    turns = count()

    @app.before_request
    def admit() -> Response | None:
        offered = request.headers.get("X-Api-Key", "").encode(), request.headers.get("X-Api-Secret", "").encode()
        # Both comparisons always run.
        right = [secrets.compare_digest(*pair) for pair in zip(offered, (key.encode(), secret.encode()), strict=True)]
        if not all(right):
            return _problem(401)
        if (wait := limit.wait()) > 0:
            answer = _problem(429)
            answer.headers["Retry-After"] = str(int(wait) + 1)
            return answer
        return None

    @app.get("/api/v1/dns/records/<domain>")
    def list_records(domain: str) -> Response:
        found: list[Problem] = []
        take = _number("take", 1, 500, found)
        skip = _number("skip", 0, 2**31 - 1, found)
        order = request.args.get("orderBy")
        if order is not None and order not in _ORDERS:
            found.append(Problem("orderBy", f"must be one of {', '.join(_ORDERS)}"))
        if found:
            raise Unprocessable(found)
        items = registry.items(domain)
        if order is None:
            # No order is promised without one: two pages of one zone may then overlap.
            start = next(turns) * _TURN % max(1, len(items))
            items = items[start:] + items[:start]
        else:
            member, reverse = _ORDERS[order]
            items.sort(key=lambda item: str(item[member]), reverse=reverse)
        return _json({"items": items[skip : skip + take], "total": len(items)})

    @app.put("/api/v1/dns/records/<domain>")
    def put_records(domain: str) -> Response:
        body = _body()
        if not isinstance(body, dict):
            raise Unprocessable([Problem("", "should be object")])
        items, force = body.get("items"), body.get("force", False)
        if not isinstance(force, bool):
            raise Unprocessable([Problem("force", "must be a boolean")])
        registry.put(domain, _items(items, "items"), force)
        return Response(status=204)

    @app.delete("/api/v1/dns/records/<domain>")
    def delete_records(domain: str) -> Response:
        registry.delete(domain, _items(_body(), "", deleting=True))
        return Response(status=204)

    @app.errorhandler(Unprocessable)
    def unprocessable(error: Unprocessable) -> Response:
        return _problem(422, error.problems)

    @app.errorhandler(Gone)
    def gone(error: Gone) -> Response:
        return _problem(404, detail=str(error))

    @app.errorhandler(PublishError)
    def unpublished(error: PublishError) -> Response:
        return _problem(500, detail=str(error))

    @app.errorhandler(HTTPException)
    def failed(error: HTTPException) -> Response:
        return _problem(error.code or 500)

    return Faults(app, error_document, token)


class _RateLimit:
    """At most `count` requests in any `seconds`."""

    def __init__(self, count: int, seconds: float) -> None:
        self._count, self._seconds = count, seconds
        self._times: deque[float] = deque()
        self._lock = threading.Lock()

    def wait(self) -> float:
        """Seconds until a request is admitted again; 0 admits and counts this one."""
        now = time.monotonic()
        with self._lock:
            while self._times and self._times[0] <= now - self._seconds:
                self._times.popleft()
            if len(self._times) >= self._count:
                return self._times[0] + self._seconds - now
            self._times.append(now)
            return 0


def _number(name: str, low: int, high: int, found: list[Problem]) -> int:
    text = request.args.get(name)
    if text is None:
        found.append(Problem(name, "is required"))
    elif not text.isdecimal() or not low <= int(text) <= high:
        found.append(Problem(name, f"must be an integer between {low} and {high}"))
    else:
        return int(text)
    return 0


def _body() -> Any:
    try:
        return json.loads(request.get_data())
    except ValueError:
        raise Unprocessable([Problem("", "is not valid JSON")]) from None


def _items(items: object, where: str, *, deleting: bool = False) -> list[dict[str, Any]]:
    if not isinstance(items, list):
        raise Unprocessable([Problem(where, "should be array")])
    if not items:
        raise Unprocessable([Problem(where, "must hold at least one item")])
    if len(items) > _MOST_ITEMS:
        raise Unprocessable([Problem(where, f"must hold at most {_MOST_ITEMS} items")])
    found = [p for n, item in enumerate(items) for p in problems(item, f"{where}[{n}]", deleting=deleting)]
    if found:
        raise Unprocessable(found)
    return [canonical(item) for item in items]


def _json(document: object) -> Response:
    return Response(json.dumps(document), content_type="application/json")


def _problem(status: int, data: list[Problem] | None = None, detail: str = "") -> Response:
    code, text = _CODES.get(status, (f"application.http{status}", HTTPStatus(status).phrase))
    document = {"detail": detail or text, "data": [{"field": p.field, "details": p.details} for p in data or []]}
    answer = Response(json.dumps(document), status, content_type="application/problem+json")
    answer.headers["spaceship-error-code"] = code
    return answer
