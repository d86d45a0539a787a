"""Where backups go, how many are kept, and when."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from tailwart.fields.amounts import listed
from tailwart.fields.names import matching

RETENTION = re.compile(r"(?P<kind>last|hourly|daily|weekly|monthly|yearly)=(?P<count>[1-9]\d{0,3})")
"""One term of BACKUP_KEEP."""
_S3_TARGET = re.compile(
    r"s3:https?://[A-Za-z0-9.-]+(?::\d{1,5})?/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[\w./-]*)?\Z", re.ASCII
)
_SFTP_TARGET = re.compile(
    r"sftp://[a-z_][\w.-]*@(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d{1,5})?/[\w./@+,=-]+\Z", re.ASCII
)
_DIRECTORY_TARGET = re.compile(r"/[\w./@+,=-]+\Z", re.ASCII)
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d"
_HIDDEN = ("/home", "/root", "/run", "/tmp", "/var/tmp")  # noqa: S108 - refused
_WEEKDAY = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"


def _target(value: str) -> str:
    if not any(pattern.match(value) for pattern in (_S3_TARGET, _SFTP_TARGET, _DIRECTORY_TARGET)):
        raise ValueError(
            "a directory on the mailbox host, sftp://user@host[:port]/directory, or s3:https://host[:port]/bucket[/prefix]"
        )
    # The unit sees none of the real ones: what it wrote there would be gone when it ends.
    hidden = next((path for path in _HIDDEN if f"{value}/".startswith(f"{path}/")), "")
    if hidden:
        raise ValueError(f"a directory that is not below {hidden}, which a sandboxed unit does not see: /srv/backup")
    return value


def _retention(value: object) -> object:
    terms = listed(value)
    for term in terms if isinstance(terms, tuple) else ():
        if not RETENTION.fullmatch(str(term)):
            raise ValueError("what to keep: last=3, hourly=…, daily=7, weekly=4, monthly=6, yearly=…")
    return terms


BackupTarget = Annotated[str, AfterValidator(_target)]
Retention = Annotated[tuple[str, ...], BeforeValidator(_retention)]
TimeOfDay = Annotated[str, matching(re.compile(rf"{_TIME}\Z"), "a time of day: 03:10")]
WeekTime = Annotated[
    str,
    matching(
        re.compile(rf"(?:(?:{_WEEKDAY}) )?{_TIME}\Z"), "a time, with a day of the week for once a week: Sun 04:30"
    ),
]
