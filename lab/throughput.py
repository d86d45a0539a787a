"""The edge's program beside HAProxy and nginx: what passes through each, on loopback in one container."""

from __future__ import annotations

import json

from lab import programs
from lab.engine import Docker
from lab.images import Spec, base, build, context, hosts
from tailwart.edge.caddy_config import EdgeRoutes, document
from tailwart.network import SMTP

_IMAGE = Spec("passthrough", programs=("caddy",))


def rows(docker: Docker) -> list[tuple[str, str]]:
    """Rows of the bench: megabytes and new connections a second of each."""
    programs.ensure([programs.CADDY])
    image = build.ensure(docker, "passthrough", context.of(_IMAGE), hosts.bare(docker, base.ensure(docker).host))
    # The edge's own document for one service, with nothing changed but the ports.
    config = document(EdgeRoutes("127.0.0.1", (), https=False, services=(SMTP,)))
    config["admin"] = {"disabled": True}
    server = config["apps"]["layer4"]["servers"][SMTP.name]
    server["listen"] = ["127.0.0.1:11025"]
    server["routes"][0]["handle"][0]["upstreams"] = [{"dial": ["127.0.0.1:10025"]}]
    words = ("run", "--rm", "--init", "--network", "none", image, "python3", "/usr/local/lib/measure.py")
    found = json.loads(docker.run(*words, json.dumps(config), timeout=300).stdout)
    return [
        (f"passed on by {name}" if name != "direct" else "without anything between", _shown(figures))
        for name, figures in found.items()
    ]


def _shown(figures: dict[str, float]) -> str:
    return f"{figures['megabytes']:.0f} MB/s  {figures['connections']:.0f} connections/s"
