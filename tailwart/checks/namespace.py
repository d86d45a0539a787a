"""Connections from the mailbox's own network namespace: a command that tries them, and its answer. Pure.

The host's way out says nothing about that of the containers (lesson 9), so it is tried from inside the sidecar.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from tailwart.mailbox import names

_SECONDS = 4


def dial(targets: Iterable[tuple[str, str, int]]) -> str:
    """A command that connects to all targets (name, host, port) at once: `NAME CODE` for each."""
    lines = "\n".join(
        f"( timeout {_SECONDS + 1} nc -z -w {_SECONDS} {shlex.quote(host)} {port} >/dev/null 2>&1; "
        f"echo {shlex.quote(name)} $? ) &"
        for name, host, port in targets
    )
    return f"docker exec {names.SIDECAR} sh -c {shlex.quote(lines + chr(10) + 'wait')}"


def dialled(text: str) -> dict[str, bool]:
    """By name, whether the target was reached."""
    rows = (re.fullmatch(r"(\S+) (\d+)", line.strip()) for line in text.splitlines())
    return {row[1]: row[2] == "0" for row in rows if row}
