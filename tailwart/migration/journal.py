"""How far a move has come: a file on the old host, which also says that the mailbox is no longer there. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from tailwart.mailbox import names

PATH = f"{names.DIRECTORY}/{names.MOVED}"
ARRIVING = f"{names.DIRECTORY}/arriving"
"""On the new host: what is there is a copy that is not whole yet."""


class Step(StrEnum):
    """What has been done. Before the first one, nothing has changed on the old host."""

    STOPPED = "stopped"
    """The old host serves no more, and does not by itself. The way back: start it."""
    MOVED = "moved"
    """The new host is proven and may have taken mail: there is no way back but to move again."""
    DONE = "done"
    """`.env` names the new host."""


@dataclass(frozen=True, slots=True)
class Journal:
    """A move to ``target``, written as USER@HOST:PORT, and its last step; ``accounts``: bytes of mail by address."""

    target: str
    step: Step
    accounts: Mapping[str, int] = field(default_factory=dict)

    def dump(self) -> str:
        """As the old host keeps it."""
        return json.dumps(asdict(self)) + "\n"


def parse(text: str) -> Journal | None:
    """The journal of a host; None for none, and for one that nobody can read."""
    try:
        document = json.loads(text)
        accounts = {str(address): int(size) for address, size in document["accounts"].items()}
        return Journal(str(document["target"]), Step(document["step"]), accounts)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def lost(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """The accounts that are missing, or hold less mail than before.

    >>> lost({"a@example.org": 9, "b@example.org": 5}, {"a@example.org": 9, "b@example.org": 4})
    ['b@example.org: 4 of 5 bytes']
    """
    return [
        f"{address}: {after.get(address, 0)} of {size} bytes"
        for address, size in before.items()
        if address not in after or after[address] < size
    ]
