"""Names on the mailbox host: the status page's directory, units and container."""

from __future__ import annotations

DIRECTORY = "/opt/tailwart/status"
REFRESH = "tailwart-status"
"""The timer and service that look at the host, write the page and mail what changed."""
WEB = "tailwart-status-web"
"""The service that serves the page in the sidecar's network."""
REPOSITORY = "tailwart/status"
IMAGE = f"{REPOSITORY}:local"
"""One program, made on the host of its own package: nothing is pulled."""
SEEN = f"{DIRECTORY}/seen.html"
"""The page of the last whole run, which `tailwart doctor --publish` puts there."""
UNITS = (f"{REFRESH}.timer", f"{REFRESH}.service", f"{WEB}.service")
UNIT_FILES = tuple(f"/etc/systemd/system/{unit}" for unit in UNITS)
PROBE = "program of the status page"
