"""Whether the mailbox takes the PROXY header on :443: asked from the edge before it sends the header for every client.

A mailbox that an earlier release set up takes a header for a broken handshake, and every name on :443 would be silent
until the mailbox is deployed. One that cannot be asked, because it is down or not there yet, holds up nothing.
"""

from __future__ import annotations

import json
import shlex
from typing import Any

from tailwart.edge.caddy_config import EdgeRoutes
from tailwart.errors import TailwartError
from tailwart.network import HTTPS
from tailwart.runner import Runner

_SECONDS = 5


def begins(routes: EdgeRoutes, running: str) -> bool:
    """Whether these routes send the header on :443 where the ``running`` configuration does not."""
    return routes.https and not _sends(running)


def _sends(configuration: str) -> bool:
    try:
        document: Any = json.loads(configuration)
        routes = document["apps"]["layer4"]["servers"][HTTPS.name]["routes"]
        return any("proxy_protocol" in handler for route in routes for handler in route["handle"])
    except (ValueError, KeyError, TypeError):
        return False


def check(run: Runner, routes: EdgeRoutes, curl: str) -> None:
    """Raise `TailwartError` when the mailbox answers on :443 without a header, and not with one.

    ``curl`` is the command on the edge, in a container that shares the host's network.
    """
    answered = run(probe(routes, curl), timeout=4 * _SECONDS).stdout.split()[-1:]
    if answered != ["bare"]:
        return
    raise TailwartError(
        "the mailbox does not take the PROXY header on :443 yet; what served before still does",
        seen=f"{routes.upstream} answers a handshake for {routes.stalwart_names[0]} without the header, none with it",
        expected="a mailbox that was deployed with this release and restarted: the edges come after it",
        remedy="pyinfra inventory.py deploy.py --limit mailbox, then this run again",
    )


def probe(routes: EdgeRoutes, curl: str) -> str:
    """A script that prints what the mailbox answers: ``header``, ``bare`` or ``nothing``. It changes nothing.

    What comes back does not matter, only that TLS does: the certificate is looked at by `make verify`.
    """
    name = routes.stalwart_names[0]
    words = [
        *("-sk", "-o", "/dev/null", "--max-time", str(_SECONDS)),
        *("--connect-to", f"{name}:{HTTPS.port}:{routes.upstream}:{HTTPS.port}"),
        f"https://{name}/",
    ]
    ask = f"{curl} {shlex.join(words)}"
    return (
        f"if {ask} --haproxy-protocol; then echo header\n"
        # A trusted peer without a header hangs: this one does not answer within the time either.
        f"elif {ask}; then echo bare\n"
        "else echo nothing; fi"
    )
