"""Keeps the edge's container able to resolve tailnet names.

Docker copies the host's /etc/resolv.conf into a container when it starts, and never again. At boot the engine starts
containers before tailscaled has put its own resolver there, so MagicDNS names would stay unknown, and all mail be
refused, until somebody restarted the container. A path unit copies the file once more whenever it changes; Caddy
resolves at each dial and sees the new content without a restart.
"""

from __future__ import annotations

from tailwart.edge.image import CONTAINER, DIRECTORY
from tailwart.hosts.files import HostFile

UNIT = "tailwart-edge-resolver"
SCRIPT = f"{DIRECTORY}/follow-resolver.sh"

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

_SERVICE = f"""[Unit]
Description=Pass the host's resolver on to the mail edge's container
After=docker.service

[Service]
Type=oneshot
ExecStart=/bin/sh {SCRIPT}
"""

_PATH = f"""[Unit]
Description=Watch the host's resolver for the mail edge's container

[Path]
PathChanged=/etc/resolv.conf
Unit={UNIT}.service

[Install]
WantedBy=multi-user.target
"""

PROBE = (
    f"{_WORDS}; systemctl is-enabled {UNIT}.path; systemctl is-active {UNIT}.path; "
    f'{_COPY}; [ -z "$copy" ] || {_SAME} && echo same'
)
"""What `followed` reads: two words of systemd, and ``same``."""

START = f"systemctl daemon-reload && systemctl enable --now {UNIT}.path && systemctl restart {UNIT}.path && sh {SCRIPT}"


def files() -> tuple[HostFile, ...]:
    """The script and the two units."""
    return (
        HostFile(SCRIPT, _SCRIPT, "0755"),
        HostFile(f"/etc/systemd/system/{UNIT}.service", _SERVICE),
        HostFile(f"/etc/systemd/system/{UNIT}.path", _PATH),
    )


def followed(output: bytes) -> bool:
    """Whether the watch is on, now and after a boot, and the container sees the host's resolver."""
    return output.decode(errors="replace").split() == ["enabled", "active", "same"]
