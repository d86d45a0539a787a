"""The record of one deploy: no secret, and bounded in size. Pure.

It is written where the deploy ran (`tailwart.history.store`), and its part for one host as a line on that host.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tailwart.errors import TailwartError

_OPERATIONS, _DETAILS, _LENGTH = 60, 300, 400
"""Of one host: operations, lines of details, characters of a line. What is more is counted and left out."""
_VALUE = 4000
"""Characters of a value that was replaced; a longer one is not kept."""
HOST_LINES = 200
"""Deploys that a host remembers."""


@dataclass(frozen=True, slots=True)
class HostChanges:
    """What a deploy did to one host or plane: operations that changed something, details, and why it failed.

    ``before`` are values that it replaced, a JSON document each, for the way back.
    """

    operations: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    failure: str = ""
    before: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deploy:
    """One run that changed something or failed.

    ``revision`` is that of the checkout, ``modified`` says that files differed from it; ``stalwart`` is the image.
    ``number`` counts on the machine that the deploys ran on; 0 as long as it is not stored. ``tree`` is the digest of
    the code (`tailwart.history.working`), empty where it is not known.
    """

    revision: str
    modified: bool
    who: str
    began: datetime
    seconds: int
    command: str
    stalwart: str
    hosts: Mapping[str, HostChanges] = field(default_factory=dict)
    number: int = 0
    tree: str = ""

    @property
    def good(self) -> bool:
        """Whether no host failed."""
        return not any(changes.failure for changes in self.hosts.values())

    @property
    def changed(self) -> tuple[str, ...]:
        """The hosts and planes that were changed."""
        return tuple(name for name, changes in self.hosts.items() if changes.operations)

    @property
    def code(self) -> str:
        """The revision as people write it: `1a2b3c4`, with a plus for a checkout with changes of its own."""
        return f"{self.revision or 'no revision'}{'+' if self.modified else ''}"


def bounded(changes: HostChanges) -> HostChanges:
    """The same within the bounds of a record."""
    return HostChanges(
        _cut(changes.operations, _OPERATIONS),
        _cut(changes.details, _DETAILS),
        changes.failure[:_LENGTH],
        tuple(value for value in changes.before[:_DETAILS] if len(value) <= _VALUE),
    )


def _cut(lines: Sequence[str], most: int) -> tuple[str, ...]:
    short = [line if len(line) <= _LENGTH else f"{line[: _LENGTH - 1]}…" for line in lines[:most]]
    return (*short, f"… and {len(lines) - most} more") if len(lines) > most else tuple(short)


def to_json(deploy: Deploy) -> dict[str, Any]:
    """The record as plain dictionaries and lists."""
    return {
        "number": deploy.number,
        "revision": deploy.revision,
        "modified": deploy.modified,
        "tree": deploy.tree,
        "who": deploy.who,
        "began": deploy.began.isoformat(),
        "seconds": deploy.seconds,
        "command": deploy.command,
        "stalwart": deploy.stalwart,
        "good": deploy.good,
        "hosts": {name: _document(changes) for name, changes in deploy.hosts.items()},
    }


def host_line(deploy: Deploy, host: str) -> str:
    """What the host itself keeps of a deploy: one line of JSON."""
    document = {key: value for key, value in to_json(deploy).items() if key not in ("hosts", "good", "number")}
    changes = {key: value for key, value in _document(deploy.hosts[host]).items() if key != "before"}
    return json.dumps({**document, **changes}, ensure_ascii=True)


def parse(document: Mapping[str, Any]) -> Deploy:
    """The record of a document; raises `TailwartError` for one that is none."""
    try:
        hosts = {
            str(name): HostChanges(
                tuple(map(str, one["operations"])),
                tuple(map(str, one["details"])),
                str(one["failure"]),
                tuple(map(str, one["before"])),
            )
            for name, one in document["hosts"].items()
        }
        return Deploy(
            revision=str(document["revision"]),
            modified=bool(document["modified"]),
            who=str(document["who"]),
            began=datetime.fromisoformat(document["began"]),
            seconds=int(document["seconds"]),
            command=str(document["command"]),
            stalwart=str(document["stalwart"]),
            hosts=hosts,
            number=int(document["number"]),
            tree=str(document.get("tree", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TailwartError("a record of the history cannot be understood", seen=type(error).__name__) from None


def _document(changes: HostChanges) -> dict[str, Any]:
    return {
        "operations": list(changes.operations),
        "details": list(changes.details),
        "failure": changes.failure,
        "before": list(changes.before),
    }
