"""The service on the mailbox host that keeps Stalwart with its sidecar, and restarts either of them when it hangs.

The engine's own restart policies know nothing of ``depends_on`` and of health: after a reboot and after a restart of
the sidecar, Stalwart would run without a route to its store, or in a network namespace that is gone; and a process that
hangs would hang until somebody looks.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tailwart.hosts import templates, units
from tailwart.hosts.files import HostFile
from tailwart.hosts.report import HostReport
from tailwart.hosts.watch import Watch
from tailwart.mailbox import names

_RESTARTS = f"{names.DIRECTORY}/restarts.log"
_TOLD_FOR = timedelta(days=7)

WATCH = Watch(contents=(_RESTARTS,))
"""What `restarts` needs to know of the host."""


def restarts(report: HostReport, now: datetime) -> list[str]:
    """What the host restarted by itself in the last seven days, oldest first, in the operator's words.

    A line of the file is a time in seconds of the epoch and what happened then.
    """
    text = report.contents.get(_RESTARTS, b"").decode(errors="replace")
    found = re.findall(r"(?m)^(\d{1,11}) (\S+ hung and was restarted)$", text)
    dated = [(datetime.fromtimestamp(int(seconds), UTC), what) for seconds, what in found]
    return [f"{what} on {at:%Y-%m-%d at %H:%M} UTC" for at, what in dated if now - at < _TOLD_FOR]


UNIT = units.service(
    names.PROJECT,
    description="Keeps Stalwart with its Tailscale sidecar",
    script=HostFile(f"{names.DIRECTORY}/follow.sh", templates.text("mailbox/follow.sh"), "0755"),
    # The script ends whenever the engine closes its event stream, and must always come back.
    unit=("Wants=docker.service", "After=docker.service", "StartLimitIntervalSec=0"),
    options=("Restart=always", "RestartSec=3", *units.sandbox(writes=(names.DIRECTORY,))),
)
