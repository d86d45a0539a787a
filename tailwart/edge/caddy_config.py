"""caddy.json: what the edge's Caddy listens on, and where each connection goes.

The document is built as data and written by `json.dumps`, so that no value can break out of its place. Shapes are those
of caddy-l4 0.1.2: https://caddyserver.com/docs/json/apps/layer4/ and the quirks listed below.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tailwart.network import DEFAULT_SERVICES, HTTPS, HTTPS_LABELS, Service, ports

WEB_HTTPS_PORT = 8443
"""Where the host's own web Caddy listens once the edge owns :443."""

ADMIN_SOCKET = "/run/caddy/admin.sock"
"""The admin endpoint inside the container. A socket file, because the container shares the host's network: TCP 2019 on
loopback belongs to the host's own Caddy, and any local user could rewrite the edge's routes through it."""

RETRY_FOR = "10s"
"""How long a new connection waits for the mailbox: long enough for a sidecar to come back under a new address (names
are resolved at each dial), far below the five minutes an SMTP client waits for the greeting (RFC 5321, 4.5.3.2.1).
Without it caddy-l4 closes at once, and a sender counts a failure for every restart."""
RETRY_EVERY = "500ms"
_REFUSE_TLS = {"handler": "tls", "connection_policies": [{"drop": True}]}
HELLO_WITHIN = "10s"
"""A client of :443 without a ClientHello by then is dropped (caddy-l4's default of 3 s loses slow mobiles)."""


@dataclass(frozen=True)
class EdgeRoutes:
    """All that caddy.json depends on.

    ``upstream`` is the mailbox's full MagicDNS name (lesson 6: never an address). ``domains`` are the mail domains,
    ``services`` the public mail services. ``vhost`` is the name of `JMAP_VHOST`, empty without it.
    ``https``: the edge owns :443; on a host with a web server (``web``) it hands the web's names on to that, on others
    it closes the connections of all names but the mail server's. ``web_addresses``: that server takes the visitors'
    addresses from a PROXY header.
    """

    upstream: str
    domains: tuple[str, ...]
    https: bool = True
    web: bool = False
    web_addresses: bool = True
    services: tuple[Service, ...] = DEFAULT_SERVICES.public
    vhost: str = ""

    @property
    def ports(self) -> tuple[int, ...]:
        """The public TCP ports this edge owns."""
        return ports((*self.services, *((HTTPS,) if self.https else ())))

    @property
    def stalwart_names(self) -> tuple[str, ...]:
        """The names on :443 that go to Stalwart, its own certificate and all (lesson 5)."""
        names = tuple(f"{label}.{domain}" for domain in self.domains for label in HTTPS_LABELS)
        return (*names, self.vhost) if self.vhost else names


def document(routes: EdgeRoutes) -> dict[str, Any]:
    """The Caddy configuration for these routes."""
    servers = {service.name: _mail_server(service.port, routes.upstream) for service in routes.services}
    if routes.https:
        servers[HTTPS.name] = _https_server(routes)
    return {**closed(), "apps": {"layer4": {"servers": servers}}}


def closed() -> dict[str, Any]:
    """A configuration that listens nowhere but for its administration: an edge that is about to be replaced."""
    return {
        "admin": {
            # Any user inside the container may write to the socket: the only ones are Caddy and `docker exec`.
            "listen": f"unix/{ADMIN_SOCKET}|0222",
            # The file on disk is the one source: an autosaved copy would be loaded by nobody and mislead a reader.
            "config": {"persist": False},
        },
        # Every healthcheck asks the admin endpoint: two lines a minute that tell nothing.
        "logging": {"logs": {"default": {"level": "INFO", "exclude": ["admin.api"]}}},
        "apps": {"layer4": {"servers": {}}},
    }


def render(routes: EdgeRoutes) -> str:
    """caddy.json as text, stable under key order, ending in a newline."""
    return json.dumps(document(routes), indent=2, ensure_ascii=False) + "\n"


def same_meaning(one: str, other: str) -> bool:
    """Whether two configurations are the same to Caddy; text that is not JSON equals nothing."""
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


def _mail_server(port: int, upstream: str) -> dict[str, Any]:
    # No matcher: on these ports the server speaks first, and a matcher would wait for bytes of a client that waits too.
    return {
        "listen": _listen(port),
        "routes": [{"handle": [_proxy(f"{upstream}:{port}", proxy_protocol=True)]}],
    }


def _https_server(routes: EdgeRoutes) -> dict[str, Any]:
    # With the header, because what asks here may also guess passwords (JMAP_VHOST): without it every guesser would have
    # the edge's address, which is never banned. The TLS inside stays untouched, ALPN included: the server offers no h2.
    stalwart = _proxy(f"{routes.upstream}:{HTTPS.port}", proxy_protocol=True)
    web = _proxy(f"127.0.0.1:{WEB_HTTPS_PORT}", proxy_protocol=routes.web_addresses)
    # No matcher: every other name, a hello without one, and what is no TLS at all get the web server's answer. Without
    # one, TLS clients get an alert, so that they need not guess what a silent end means; what is no TLS is closed.
    others = {"handle": [web]} if routes.web else {"match": [{"tls": {}}], "handle": [_REFUSE_TLS]}
    return {
        "listen": _listen(HTTPS.port),
        "matching_timeout": HELLO_WITHIN,
        "routes": [
            {"match": [{"tls": {"sni": list(routes.stalwart_names)}}], "handle": [stalwart]},
            others,
        ],
    }


def _listen(port: int) -> list[str]:
    # One dual-stack socket, which takes IPv4 and IPv6; it still binds where the kernel was started without IPv6.
    return [f":{port}"]


def _proxy(dial: str, *, proxy_protocol: bool) -> dict[str, Any]:
    handler: dict[str, Any] = {
        "handler": "proxy",
        # One address per upstream: two in one `dial` are both connected to. No health checks: the active ones send
        # bare TCP without the PROXY header, and Stalwart logs an error for each.
        "upstreams": [{"dial": [dial]}],
        "load_balancing": {"try_duration": RETRY_FOR, "try_interval": RETRY_EVERY},
    }
    if proxy_protocol:
        handler["proxy_protocol"] = "v2"
    return handler
