"""The lab's mailbox host and its containers at a moment."""

from __future__ import annotations

import json
from typing import Any

from lab import hosts

DIRECTORY = "/opt/tailwart/mailbox"


def containers(host: str = "mailbox") -> dict[str, dict[str, Any]]:
    """Container name → what the engine says of it; empty on a bare host."""
    listed = hosts.exec(host, ["sh", "-c", "command -v docker >/dev/null && docker ps -aq || true"]).stdout.split()
    if not listed:
        return {}
    document = json.loads(hosts.exec(host, ["docker", "inspect", *(name.decode() for name in listed)]).stdout)
    return {item["Name"].lstrip("/"): item for item in document}


def started(host: str = "mailbox") -> dict[str, str]:
    """Container name → when it was started: equal before and after a run that restarted nothing."""
    return {name: item["State"]["StartedAt"] for name, item in containers(host).items()}


def shell(host: str, command: str, *, check: bool = True, timeout: float = 120) -> str:
    """Run a shell command on a host of the lab: standard output and standard error."""
    result = hosts.exec(host, ["sh", "-c", command], check=check, timeout=timeout)
    return (result.stdout + result.stderr).decode(errors="replace")


# Files below /opt and /etc, packages, units and containers: everything a deploy could leave on a host.
_FINGERPRINT = """
{ find /opt /etc -xdev -type f -exec sha256sum {} + 2>/dev/null | sort -k2; ls -A /opt
  dpkg-query -W; systemctl list-unit-files --no-legend
  ! command -v docker >/dev/null || docker ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.State}}'
} | sha256sum
"""


def fingerprint(host: str) -> str:
    """Equal before and after exactly when nothing was changed on the host."""
    return shell(host, _FINGERPRINT)
