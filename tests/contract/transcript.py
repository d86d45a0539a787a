"""The recorded exchanges, in order."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    def id(self) -> str:
        return f"{self.number}: {self.title}"


def exchanges() -> list[Exchange]:
    """All 102 lines of the recording."""
    lines = (FIXTURES / "jmap-transcript-0.16.7.jsonl").read_text().splitlines()
    read = [json.loads(line) for line in lines]
    return [
        Exchange(n, e["phase"].split(",")[0], e["title"], e.get("auth", ""), e["request"], e["status"], e["response"])
        for n, e in enumerate(read, 1)
    ]


def conversations() -> dict[str, list[tuple[str, str]]]:
    """The recorded protocol conversations by title: (C or S, line); TLS handshakes are ("TLS", version)."""
    found: dict[str, list[tuple[str, str]]] = {}
    title = ""
    for line in (FIXTURES / "protocol-transcript-0.16.7.txt").read_text().splitlines():
        if line.startswith("## "):
            title = line.removeprefix("## ")
            found[title] = []
        elif line[:2] in ("C:", "S:"):
            found[title].append((line[0], line[3:]))
        elif line.strip().startswith("[TLS"):
            found[title].append(("TLS", line.strip(" []").removeprefix("TLS ")))
    return found
