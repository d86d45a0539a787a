"""BACKUP_TARGET, retention and limits in the words of restic. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from tailwart.fields import RETENTION


def repository(target: str) -> str:
    """The restic repository of a target.

    >>> repository("/srv/backup"), repository("sftp://backup@203.0.113.9:2222/srv/mail")
    ('/srv/backup', 'sftp://backup@203.0.113.9:2222//srv/mail')
    >>> repository("s3:https://s3.example.com/bucket")
    's3:https://s3.example.com/bucket'
    """
    if not target.startswith("sftp://"):
        return target
    # restic takes a path after one slash as relative to the login's home.
    return re.sub(r"(sftp://[^/]+)/+", r"\1//", target, count=1)


def ssh_host(target: str) -> str:
    """The host of an sftp target as known_hosts writes it; empty for others."""
    if not target.startswith("sftp://"):
        return ""
    parts = urlsplit(target)
    return f"[{parts.hostname}]:{parts.port}" if parts.port not in (None, 22) else parts.hostname or ""


def retention(keep: tuple[str, ...]) -> str:
    """Options of `restic forget`.

    >>> retention(("last=3", "daily=7"))
    '--keep-last 3 --keep-daily 7'
    """
    parsed = (RETENTION.fullmatch(term) for term in keep)
    return " ".join(f"--keep-{match['kind']} {match['count']}" for match in parsed if match)
