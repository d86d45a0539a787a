"""The recorded exchanges, in order."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.contract.versions import number, recording

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

    They were recorded with 0.16.7. What is known to be otherwise since 0.16.18 is put in: JMAPACCESS is announced after
    the login alone.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    title = ""
    for line in (FIXTURES / "protocol-transcript-0.16.7.txt").read_text().splitlines():
        if line.startswith("## "):
            title = line.removeprefix("## ")
            found[title] = []
        elif line[:2] in ("C:", "S:"):
            text = line[3:]
            if number(version) >= (0, 16, 18) and " STARTTLS" in text:
                text = text.replace(" JMAPACCESS", "")
            found[title].append((line[0], text))
        elif line.strip().startswith("[TLS"):
            found[title].append(("TLS", line.strip(" []").removeprefix("TLS ")))
    return found
