"""Requests to the server's HTTPS port as an edge passes them on: TLS inside a PROXY header, from any client address."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any

from tests.contract.server import Answer, Server
from tests.contract.wire import TRUSTED, proxy_v2


class Closed(Exception):
    """The server closed the connection without a word."""


def ask(
    server: Server,
    path: str,
    *,
    client: str,
    host: str = "mta-sts.example.org",
    method: str = "GET",
    login: tuple[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """One request to 443 through a trusted peer; raises `Closed` for an address that may not say anything."""
    raw = server.space.connect(443, source=TRUSTED)
    connection = http.client.HTTPConnection(host, timeout=30)
    sent = {"Host": host, **(headers or {})}
    if login:
        sent["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        raw.sendall(proxy_v2((client, 40000), ("127.0.0.1", 443)))
        secure = context.wrap_socket(raw, server_hostname=host)
        assert secure.selected_alpn_protocol() is None, "an edge must not promise HTTP/2"
        connection.sock = secure
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        text = response.read()
    except (ConnectionError, ssl.SSLError, http.client.RemoteDisconnected) as problem:
        raise Closed(str(problem)) from None
    finally:
        connection.close()
        raw.close()
    is_json = "json" in response.headers.get("Content-Type", "")
    return Answer(response.status, json.loads(text) if is_json else text.decode(), dict(response.headers))


def status(server: Server, path: str, **more: Any) -> int:
    """The status alone; 0 for a connection that was closed."""
    try:
        return ask(server, path, **more).status
    except Closed:
        return 0
