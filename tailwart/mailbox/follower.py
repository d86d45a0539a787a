"""The service on the mailbox host that keeps Stalwart with its sidecar.

The engine's own restart policies know nothing of ``depends_on``: after a reboot and after a restart of the sidecar,
Stalwart would run without a route to its store, or in a network namespace that is gone.
"""

from __future__ import annotations

from tailwart.hosts import templates, units
from tailwart.hosts.files import HostFile
from tailwart.mailbox import names

UNIT = units.service(
    names.PROJECT,
    description="Keeps Stalwart with its Tailscale sidecar",
    script=HostFile(f"{names.DIRECTORY}/follow.sh", templates.text("mailbox/follow.sh"), "0755"),
    # The script ends whenever the engine closes its event stream, and must always come back.
    unit=("Wants=docker.service", "After=docker.service", "StartLimitIntervalSec=0"),
    options=("Restart=always", "RestartSec=3", *units.sandbox(writes=(names.DIRECTORY,))),
)
