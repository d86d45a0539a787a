"""Checks an edit of the web Caddyfile by Caddy's own reading of it: nothing but the HTTPS port may differ,
and where visitors' addresses come from."""

from __future__ import annotations

import json
from typing import Any

from tailwart.edge.caddy_config import WEB_HTTPS_PORT
from tailwart.edge.web import SERVERS
from tailwart.errors import TailwartError
from tailwart.network import HTTPS

_OURS = (
    "listener_wrappers",
    [{"wrapper": "proxy_protocol", "timeout": 5_000_000_000, "allow": ["127.0.0.1/32"]}, {"wrapper": "tls"}],
)


def check(path: str, before: str, after: str) -> None:
    """Compare two outputs of `caddy adapt`: of the Caddyfile at ``path`` as it is, and with the edge's ``https_port``.

    Raises `TailwartError` when a site would still take :443 from the edge, or when anything else would change.
    """
    old, new = _http(before), _http(after)
    kept = [name for name, server in _servers(new).items() if str(HTTPS.port) in _ports(server)]
    if kept:
        raise TailwartError(
            f"{path}: a site names port {HTTPS.port} itself, so it would not leave :443 to the mail edge",
            seen=", ".join(_hosts(_servers(new)[kept[0]])) or f"a site without a host name on :{HTTPS.port}",
            expected="sites without a port, which follow the global https_port",
            remedy=f"take :{HTTPS.port} out of that site's address in {path}, then run the deploy again",
        )
    if _servers(new) and new.get("https_port") != WEB_HTTPS_PORT:
        raise TailwartError(
            f"{path}: Caddy does not take the https_port of the edited file",
            seen=str(new.get("https_port")),
            expected=str(WEB_HTTPS_PORT),
            remedy="keep the global options in this file, not in an imported one, and not twice",
        )
    deaf = [name for name, server in _servers(new).items() if _on_web_port(server) and not _hears_addresses(server)]
    if deaf:
        raise TailwartError(
            f"{path}: a server would not learn the visitors' addresses, which the edge passes on",
            seen=", ".join(_hosts(_servers(new)[deaf[0]])) or f"a site on :{WEB_HTTPS_PORT}",
            expected=" ".join(line.strip() for line in SERVERS),
            remedy="the file has a `servers` option, or a `bind`, of its own: take that out, or add these lines to it",
        )
    if _neutral(before, old) != _neutral(after, new):
        raise TailwartError(
            f"{path}: moving https_port to {WEB_HTTPS_PORT} would change more than the port",
            seen="other routes or options in the output of `caddy adapt`",
            expected="the same routes on the new port",
            remedy=f"set `https_port {WEB_HTTPS_PORT}` in the global options yourself, then run the deploy again",
        )


def _http(adapted: str) -> dict[str, Any]:
    http = json.loads(adapted).get("apps", {}).get("http", {})
    return http if isinstance(http, dict) else {}


def _servers(http: dict[str, Any]) -> dict[str, dict[str, Any]]:
    servers: dict[str, dict[str, Any]] = http.get("servers", {})
    return servers


def _ports(server: dict[str, Any]) -> set[str]:
    return {address.rpartition(":")[2] for address in server.get("listen", [])}


def _on_web_port(server: dict[str, Any]) -> bool:
    return str(WEB_HTTPS_PORT) in _ports(server)


def _hears_addresses(server: dict[str, Any]) -> bool:
    return any(wrapper.get("wrapper") == "proxy_protocol" for wrapper in server.get("listener_wrappers", []))


def _hosts(server: dict[str, Any]) -> list[str]:
    matches = (match for route in server.get("routes", []) for match in route.get("match", []))
    return sorted({host for match in matches for host in match.get("host", [])})


def _neutral(adapted: str, http: dict[str, Any]) -> str:
    """The configuration without its HTTPS port, and with its servers, which Caddy numbers, ordered by content."""
    https = str(http.get("https_port", HTTPS.port))
    servers = []
    for server in _servers(http).values():
        listen = [
            address.rpartition(":")[0] + ":https" if address.rpartition(":")[2] == https else address
            for address in server.get("listen", [])
        ]
        rest = {key: value for key, value in server.items() if (key, value) != _OURS}
        servers.append(json.dumps({**rest, "listen": sorted(listen)}, sort_keys=True))
    document = json.loads(adapted)
    apps = {name: app for name, app in document.get("apps", {}).items() if name != "http"}
    others = {key: value for key, value in http.items() if key not in ("servers", "https_port")}
    whole = {**document, "apps": {**apps, "http": others}, "servers": sorted(servers)}
    return json.dumps(_without_alternate_port(whole), sort_keys=True)


def _without_alternate_port(value: Any) -> Any:
    """Without the port of the TLS-ALPN challenge, which Caddy writes into each issuer when https_port is not 443."""
    if isinstance(value, list):
        return [_without_alternate_port(item) for item in value]
    if not isinstance(value, dict):
        return value
    cleaned = {key: _without_alternate_port(item) for key, item in value.items()}
    challenge = cleaned.get("tls-alpn")
    if isinstance(challenge, dict):
        challenge.pop("alternate_port", None)
    return {key: item for key, item in cleaned.items() if not (key in ("tls-alpn", "challenges") and not item)}
