"""Which data store a mailbox is on, and that no deploy leaves it behind unasked. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tailwart.errors import TailwartError
from tailwart.hosts.watch import Watch
from tailwart.mailbox import names

LEAVES = "mailbox_leaves_store"
"""The name in group_data/mailbox.py that gives a store up; its value is that store's name, so that it counts once."""
WATCH = Watch(contents=(names.CONFIG, names.MOVE_STATE))
"""What the deploy needs to know of the host before it writes config.json."""


@dataclass(frozen=True, slots=True)
class Place:
    """A data store: its kind as config.json has it, and what people call it."""

    kind: str
    name: str


def place(config: str) -> Place:
    """The data store that a config.json names."""
    try:
        document = json.loads(config)
        kind = str(document["@type"])
    except (ValueError, KeyError, TypeError):
        return Place("", "no data store")
    if kind == "PostgreSql":
        return Place(kind, f"PostgreSQL {document.get('database')} at {document.get('host')}:{document.get('port')}")
    return Place(kind, f"embedded store {document.get('path', '')}".strip())


def refuse_half_moved(state: str) -> None:
    """Raises `TailwartError` where `tailwart store move` died between two places: ``state`` is what it has noted."""
    try:
        noted = json.loads(state)
    except ValueError:
        return
    if isinstance(noted, dict) and names.MOVE_SWITCHED in noted:
        raise TailwartError(
            "a move of message bodies was interrupted, and a server that starts now would not find all of them",
            seen=f"{names.MOVE_STATE}: the settings name {noted.get('target')} already",
            remedy="run `tailwart store move` again: it goes on where it was",
        )


def leaves(current: Place, desired: Place, given_up: str) -> bool:
    """Whether the deploy is to give up the ``current`` store; raises `TailwartError` when nobody has said so.

    A server starts on any store that it finds, and sets up an empty one: accounts and mail are then as if they had
    never been, and what comes in meanwhile is in neither of the places where somebody will look for it.
    """
    if not current.kind or current == desired:
        return False
    if given_up == current.name:
        return True
    raise TailwartError(
        "the data store would change, and accounts and mail stay behind in the old one",
        seen=f"{current.name}, on which the mailbox runs" + (f"; {LEAVES} names {given_up}" if given_up else ""),
        expected=f"{desired.name}, by STALWART_STORE and STALWART_DB_… in .env",
        remedy="`tailwart store move` takes everything along (docs/backends.md); or correct .env. To give the old "
        f'store up, or when its content is in the new one: {LEAVES} = "{current.name}" in group_data/mailbox.py',
    )
