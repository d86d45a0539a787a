"""Keeps the edge's container able to resolve tailnet names.

Docker copies the host's /etc/resolv.conf into a container when it starts, and never again. At boot the engine starts
containers before tailscaled has put its own resolver there, so MagicDNS names would stay unknown, and all mail be
refused, until somebody restarted the container. A path unit copies the file once more whenever it changes; Caddy
resolves at each dial and sees the new content without a restart.
"""

from __future__ import annotations

from tailwart.edge.image import CONTAINER, DIRECTORY
from tailwart.hosts import units
from tailwart.hosts.files import HostFile

# Docker writes the copy anew, with comments of its own: the same resolver in other words is no difference.
_WORDS = (
    r"""words() { grep -E '^(nameserver|search|domain|options)[[:space:]]' "$1" | tr -s '[:blank:]' ' ' | sort; }"""
)
_COPY = f"copy=$(docker inspect --format '{{{{.ResolvConfPath}}}}' {CONTAINER} 2>/dev/null)"
_SAME = '[ "$(words /etc/resolv.conf)" = "$(words "$copy")" ]'

_SCRIPT = f"""#!/bin/sh
# Writes into the container's own resolv.conf in place: it is bind-mounted, and a new file would not be seen inside.
{_WORDS}
{_COPY} || exit 0
[ -n "$copy" ] && [ -f "$copy" ] || exit 0
{_SAME} || cat /etc/resolv.conf >"$copy"
"""

UNIT = units.path(
    "tailwart-edge-resolver",
    description="Passes the host's resolver on to the mail edge's container",
    script=HostFile(f"{DIRECTORY}/follow-resolver.sh", _SCRIPT, "0755"),
    changed="/etc/resolv.conf",
    unit=("After=docker.service",),
    # The engine's directory of containers may be anywhere.
    options=units.sandbox(writes=None),
    done=f'{_WORDS}; {_COPY}; [ -z "$copy" ] || {_SAME}',
)
