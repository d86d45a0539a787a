"""Edits a web Caddy's JSON configuration so that the edge can own :443; and reverts the edit.

JSON has no comments to mark an edit with, and every other byte must stay. So the places are found in the text itself,
and what is put in is recognised by its exact wording: ``https_port``, the port of each server that listened on 443, and
the wrapper that reads the visitors' addresses from the edge's PROXY header.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from tailwart.edge.caddy_config import WEB_HTTPS_PORT
from tailwart.errors import TailwartError
from tailwart.network import HTTPS

WRAPPERS = (
    '"listener_wrappers":[{"wrapper":"proxy_protocol","timeout":5000000000,"allow":["127.0.0.1/32"]},'
    '{"wrapper":"tls"}],'
)
_PORT = f'"https_port":{WEB_HTTPS_PORT},'
_DECODER = json.JSONDecoder()
_BLANK = " \t\r\n"


@dataclass(frozen=True, slots=True)
class _Span:
    """A value and where it stands in the text."""

    start: int
    end: int
    value: object


def edit(text: str) -> str:
    """The configuration with its HTTPS servers on 8443. Applying it again changes nothing.

    Raises `TailwartError` where it could not be put back, or where a server has wrappers of its own.
    """
    plain = restore(text)
    http = _http(plain)
    if http is None:
        return plain
    if "https_port" in dict(_members(plain, http)):
        raise _refusal(
            "the web Caddy's configuration names an https_port itself",
            "https_port",
            "no https_port: 443 is the default",
        )
    changes = [(http.start + 1, http.start + 1, _PORT)]
    for server in _servers(plain, http):
        listens = list(_listens(plain, server))
        if any(_port(one) == WEB_HTTPS_PORT for one in listens):
            raise _refusal("a server of the web Caddy has port 8443 already", ":8443", "8443 free for the web's TLS")
        moved = [one for one in listens if _port(one) == HTTPS.port]
        if not moved:
            continue
        if "listener_wrappers" in dict(_members(plain, server)):
            raise _refusal(
                "a server of the web Caddy on :443 has listener_wrappers of its own", "listener_wrappers", WRAPPERS[:-1]
            )
        changes.append((server.start + 1, server.start + 1, WRAPPERS))
        changes += [(one.end - 4, one.end - 1, str(WEB_HTTPS_PORT)) for one in moved]
    return _changed(plain, changes)


def restore(text: str) -> str:
    """The configuration without anything that `edit` put in."""
    http = _http(text)
    if http is None or not text.startswith(_PORT, http.start + 1):
        return text
    changes = [(http.start + 1, http.start + 1 + len(_PORT), "")]
    for server in _servers(text, http):
        if text.startswith(WRAPPERS, server.start + 1):
            changes.append((server.start + 1, server.start + 1 + len(WRAPPERS), ""))
            moved = (one for one in _listens(text, server) if _port(one) == WEB_HTTPS_PORT)
            changes += [(one.end - 5, one.end - 1, str(HTTPS.port)) for one in moved]
    return _changed(text, changes)


def edited(text: str) -> bool:
    """Whether the text holds such an edit."""
    return restore(text) != text


def _changed(text: str, changes: list[tuple[int, int, str]]) -> str:
    for start, end, new in sorted(changes, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _port(listen: _Span) -> int:
    text = str(listen.value)
    port = text.rpartition(":")[2]
    # Written with escapes it would not end where the text ends.
    return int(port) if port.isdecimal() and listen.end - listen.start == len(text) + 2 else 0


def _http(text: str) -> _Span | None:
    """The object `apps.http`; None where there is none, or where the text is no JSON (Caddy refuses it then)."""
    try:
        start = _skip(text, 0)
        value, end = _DECODER.raw_decode(text, start)
    except ValueError:
        return None
    found: _Span | None = _Span(start, end, value)
    for name in ("apps", "http"):
        found = dict(_members(text, found)).get(name) if found is not None else None
    return found if found is not None and isinstance(found.value, dict) and found.value else None


def _servers(text: str, http: _Span) -> Iterator[_Span]:
    servers = dict(_members(text, http)).get("servers")
    if servers is not None:
        yield from (server for _, server in _members(text, servers) if server.value)


def _listens(text: str, server: _Span) -> Iterator[_Span]:
    listen = dict(_members(text, server)).get("listen")
    if listen is None or not isinstance(listen.value, list):
        return
    position = _skip(text, listen.start + 1)
    while text[position] != "]":
        value, end = _DECODER.raw_decode(text, position)
        yield _Span(position, end, value)
        position = _skip(text, end)
        position = _skip(text, position + 1) if text[position] == "," else position


def _members(text: str, found: _Span) -> Iterator[tuple[str, _Span]]:
    if not isinstance(found.value, dict):
        return
    position = _skip(text, found.start + 1)
    while text[position] != "}":
        name, end = _DECODER.raw_decode(text, position)
        start = _skip(text, _skip(text, end) + 1)
        value, end = _DECODER.raw_decode(text, start)
        yield str(name), _Span(start, end, value)
        position = _skip(text, end)
        position = _skip(text, position + 1) if text[position] == "," else position


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in _BLANK:
        position += 1
    return position


def _refusal(what: str, seen: str, expected: str) -> TailwartError:
    return TailwartError(
        what,
        seen=seen,
        expected=expected,
        remedy="change it in that file, or move the sites to 8443 yourself and set …_WEB=:8443 (docs/edge.md)",
    )
