"""The recorded exchanges, in order."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.contract.versions import number, recording

_LIMITS = " UIDONLY UIDBATCHES MESSAGELIMIT=1000000 SAVELIMIT=1000000"
FIXTURES = Path(__file__).parent / "fixtures"


@dataclass(frozen=True)
class Exchange:
    number: int
    phase: str
    title: str
    user: str
    request: Any
    status: int
    response: Any

    @property
    def calls(self) -> list[Any]:
        """The method calls, whether the recording holds them alone or as a whole request."""
        calls: list[Any] = self.request["methodCalls"] if isinstance(self.request, dict) else self.request
        return calls

    @property
    def id(self) -> str:
        return f"{self.number}: {self.title}"


@cache
def exchanges(version: str) -> list[Exchange]:
    """All lines of the recording that a server of this version should follow."""
    lines = (FIXTURES / f"jmap-transcript-{recording(version)}.jsonl").read_text().splitlines()
    read = [json.loads(line) for line in lines]
    return [
        Exchange(n, e["phase"].split(",")[0], e["title"], e.get("auth", ""), e["request"], e["status"], e["response"])
        for n, e in enumerate(read, 1)
    ]


def conversations(version: str) -> dict[str, list[tuple[str, str]]]:
    """The recorded protocol conversations by title: (C or S, line); TLS handshakes are ("TLS", version).

    They were recorded with 0.16.7. What is known to be otherwise since then is put in: JMAPACCESS is announced after
    the login alone, ids of objects only to those who enable OBJECTID+, and the limits of commands are announced.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    title = ""
    for line in (FIXTURES / "protocol-transcript-0.16.7.txt").read_text().splitlines():
        if line.startswith("## "):
            title = line.removeprefix("## ")
            found[title] = []
        elif line[:2] in ("C:", "S:"):
            if (text := _of(number(version), line[3:])) is not None:
                found[title].append((line[0], text))
        elif line.strip().startswith("[TLS"):
            found[title].append(("TLS", line.strip(" []").removeprefix("TLS ")))
    return found


def _of(version: tuple[int, ...], line: str) -> str | None:
    """A recorded line as this version says it; None when it does not say it."""
    if version >= (0, 16, 10):
        if "[MAILBOXID " in line:
            return None
        line = line.replace(" JMAPACCESS", "") if " STARTTLS" in line else line.replace(" OBJECTID ", " OBJECTID+ ")
    if version >= (0, 16, 17):
        line = line.replace(" QUOTA=RES-STORAGE]", f" QUOTA=RES-STORAGE{_LIMITS}]")
    return line
