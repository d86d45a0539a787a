"""The code that each host was deployed with last: what the host remembers, and what this machine does.

A host has a line only of runs that changed something there; this machine notes the others as well, in its state
directory (`history/DOMAIN/latest.json`, 0600).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tailwart.connectors.turn import state_directory

ON_HOST = "/opt/tailwart/history.jsonl"


@dataclass(frozen=True, slots=True)
class Latest:
    """The code of one deploy: revision, whether files were in no commit, the digest (may be empty), and when."""

    revision: str
    modified: bool
    tree: str
    at: datetime

    @property
    def code(self) -> str:
        """The revision as people write it."""
        return f"{self.revision or 'no revision'}{'+' if self.modified else ''}"


def add(domain: str, hosts: Mapping[str, Latest], directory: Path | None = None) -> None:
    """Note what these hosts have now. Raises `OSError`."""
    file = path(domain, directory)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    documents = {
        name: {**asdict(each), "at": each.at.isoformat()} for name, each in {**read(domain, directory), **hosts}.items()
    }
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        json.dump(documents, stream, indent=1)
    temporary.replace(file)


def read(domain: str, directory: Path | None = None) -> dict[str, Latest]:
    """What this machine has noted, by host; what cannot be read is not known."""
    try:
        document = json.loads(path(domain, directory).read_text(encoding="utf-8"))
        return {str(name): found for name, each in document.items() if (found := _parsed(each, "at"))}
    except (OSError, ValueError, AttributeError):
        return {}


def path(domain: str, directory: Path | None = None) -> Path:
    """The file of this machine for the installation of a mail domain."""
    return (directory or state_directory() / "history") / domain / "latest.json"


def remembered(lines: str) -> Latest | None:
    """The newest deploy among lines of `ON_HOST`; None where none can be read."""
    return max(_documents(lines), key=lambda each: each.at, default=None)


def newest(*found: Latest | None) -> Latest | None:
    """The last of these."""
    return max((each for each in found if each is not None), key=lambda each: each.at, default=None)


def _documents(lines: str) -> Iterator[Latest]:
    for line in lines.splitlines():
        try:
            found = _parsed(json.loads(line), "began")
        except ValueError:
            continue
        if found is not None:
            yield found


def _parsed(document: Any, when: str) -> Latest | None:
    try:
        at = datetime.fromisoformat(document[when])
        # A run that failed has left the host with something between two codes.
        if at.tzinfo is None or document.get("failure"):
            return None
        tree = str(document.get("tree", ""))
        return Latest(str(document["revision"]), bool(document["modified"]), tree, at)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
