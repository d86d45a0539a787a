"""What `stalwart_objects` made or took over, kept on the mailbox host: which live object a name of the file stands for.

An object is noted before it is created and gets its id afterwards, so a run that dies between the two is understood by
the next one: an object that is noted without an id and found by its key is the one that was created.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """One object. `identifier` empty: about to be created. `fields` are those that were declared last."""

    identifier: str
    created: bool
    fields: tuple[str, ...] = ()


Notes = Mapping[tuple[str, str], Note]
"""By kind and name in the file."""


def dump(notes: Notes) -> str:
    """The file's content: the same for equal notes."""
    return json.dumps(
        {
            f"{kind}/{name}": {"id": note.identifier, "created": note.created, "fields": list(note.fields)}
            for (kind, name), note in sorted(notes.items())
        }
    )


def parse(text: str) -> dict[tuple[str, str], Note]:
    """The file's content read back. A damaged or absent file counts as empty: objects are then found by their keys."""
    found: dict[tuple[str, str], Note] = {}
    try:
        for title, each in json.loads(text).items():
            kind, _, name = title.partition("/")
            fields = tuple(str(field) for field in each["fields"])
            found[kind, name] = Note(str(each["id"]), bool(each["created"]), fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return found
