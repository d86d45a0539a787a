"""Lets mail that is under way end before the edge's process is replaced.

A process that ends cuts its connections. So the one that serves first stops listening, which leaves its open
connections alone, and is replaced when no message is being passed on any more. Idle mail programs are not waited for:
they connect again.
"""

from __future__ import annotations

import json

from tailwart.edge.caddy_config import closed
from tailwart.edge.image import LOAD, RELOAD
from tailwart.network import SMTP, SUBMISSION, SUBMISSIONS, ports
from tailwart.runner import Runner

SECONDS = 20
"""A longer message is cut off, and its sender tries again."""
_REOPEN_AFTER = 120
_UNIT = "tailwart-edge-reopen"

_PORTS = " or ".join(f"sport = :{port}" for port in ports((SMTP, SUBMISSIONS, SUBMISSION)))
_UNDER_WAY = f"ss -Htn state established '( {_PORTS} )' | grep -q ."


def drain(run: Runner) -> None:
    """Close the doors of the edge that serves, and wait for the mail in them. What fails here delays nothing."""
    run(
        # A run that dies after this leaves no closed edge behind: the host opens it again by itself. On the new
        # process, whose configuration is in place by then, that changes nothing.
        f"systemctl stop {_UNIT}.timer 2>/dev/null; systemctl reset-failed {_UNIT}.service 2>/dev/null\n"
        f"{_UNDER_WAY} || exit 0\n"
        f"systemd-run --quiet --collect --unit={_UNIT} --on-active={_REOPEN_AFTER} {RELOAD} || exit 0\n"
        f"{LOAD} || exit 0\n"
        f"i=0; while [ $i -lt {SECONDS} ] && {_UNDER_WAY}; do sleep 1; i=$((i+1)); done",
        stdin=json.dumps(closed()),
        timeout=SECONDS + 90,
    )
