"""Names on the mailbox host: the backup's directory, scripts and units."""

from __future__ import annotations

DIRECTORY = "/opt/tailwart/backup"
BACKUP = "tailwart-backup"
DRILL = "tailwart-drill"
LAST_BACKUP = f"{DIRECTORY}/backup.last"
"""How the last backup ended, as JSON: doctor and the status page read it."""
LAST_DRILL = f"{DIRECTORY}/drill.last"
"""How the last drill ended, as JSON."""
PLANES = f"{DIRECTORY}/planes"
"""What `tailwart backup` hands over of the planes beside the mailbox: zones, policy, settings."""
