"""Which live object a declared one stands for: by the note of the host, by its key, or by being equal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tailwart.stalwart.objects import keys
from tailwart.stalwart.objects.notes import Note, Notes
from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.protocol.kinds import KINDS, Object
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.values import same
from tailwart.stalwart.schema.model import Kind, Schema
from tailwart.stalwart.settings.planning import ObjectChange

Wish = tuple[Kind, str, str | None, Mapping[str, Any] | None]
"""A declared object: its kind, its name in the file, its key and its fields; no fields where it must not exist."""


@dataclass(frozen=True, slots=True)
class Found:
    """The live object, if there is one; `created`: this project made it; `ambiguous`: how many it could be."""

    item: Object | None = None
    kind: str = ""
    created: bool = False
    ambiguous: int = 0

    @property
    def identity(self) -> tuple[str, str]:
        """Kind and id of the live object."""
        return (self.kind, str(self.item["id"])) if self.item is not None else (self.kind, "")


def find(wishes: Sequence[Wish], live: Live, notes: Notes, taken: set[tuple[str, str]]) -> Iterator[Found]:
    """The live object of each declared one, in order; no live object stands for two. `taken` are those of settings.

    The host's note wins over the key, so that an object whose key is edited stays the same object. Where nothing tells
    the objects of a kind apart, one that already holds everything that is declared is taken for the declared one; never
    for one that is to be deleted.
    """
    made = {(kind, note.identifier) for (kind, _), note in notes.items() if note.created and note.identifier}
    found: list[Found | None] = [_noted(wish, live, notes, taken) for wish in wishes]
    taken = taken | {each.identity for each in found if each is not None}
    for place, wish in enumerate(wishes):
        each = found[place]
        if each is None:
            each = _by_key(wish, live, notes.get((wish[0].name, wish[1])), taken)
            taken = taken | {each.identity}
        created = each.created or each.identity in made
        yield Found(each.item, wish[0].name, created, each.ambiguous)


def _noted(wish: Wish, live: Live, notes: Notes, taken: set[tuple[str, str]]) -> Found | None:
    kind, name, _, _ = wish
    note = notes.get((kind.name, name))
    identifier = SINGLETON if kind.singleton else note.identifier if note else ""
    for item in live.of(kind.name):
        if identifier and str(item["id"]) == identifier and (kind.name, identifier) not in taken:
            return Found(item, kind.name, note.created if note and not kind.singleton else False)
    return None


def _by_key(wish: Wish, live: Live, note: Note | None, taken: set[tuple[str, str]]) -> Found:
    kind, _, key, fields = wish
    # Noted and without an id: a run died between the creation and its note.
    pending = note is not None and not note.identifier
    free = [item for item in live.of(kind.name) if (kind.name, str(item["id"])) not in taken]
    if keys.key_fields(kind):
        free = [item for item in free if key is not None and _key(kind, item, live) == key]
    equal = [
        item
        for item in free
        if fields and all(same(value, item.get(name), live.resolve) for name, value in fields.items())
    ]
    if len(free) == 1 and keys.key_fields(kind):
        return Found(free[0], kind.name, pending)
    if equal:
        return Found(equal[0], kind.name, pending)
    if free and keys.key_fields(kind):
        return Found(None, kind.name, ambiguous=len(free))
    return Found(None, kind.name)


def _key(kind: Kind, item: Object, live: Live) -> str | None:
    return keys.key(kind, item, lambda name, identifier: live.names.get((name, identifier)))


def users_first(deletions: Sequence[ObjectChange]) -> tuple[ObjectChange, ...]:
    """The same deletions, each before those of the objects that it refers to: the server refuses the other order."""
    ordered: list[ObjectChange] = []
    rest = list(deletions)
    while rest:
        used = [{text for text in _texts(change.live) if text != change.object_id} for change in rest]
        free = [
            change
            for place, change in enumerate(rest)
            if not any(change.object_id in texts for other, texts in enumerate(used) if other != place)
        ]
        # A circle: the server says which object is in the way.
        taken = free or rest
        ordered += taken
        rest = [change for change in rest if change not in taken]
    return tuple(ordered)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield str(name)
            yield from _texts(each)
    elif isinstance(value, str):
        yield value


def natural_names(schema: Schema, live: Live) -> dict[tuple[str, str], str]:
    """(kind, id) → by what its own fields make a live object known; without those that nothing tells apart."""
    return {
        (kind, str(item["id"])): name
        for kind in live.objects
        if kind in schema.kinds
        for item in live.of(kind)
        if (name := _key(schema.kinds[kind], item, live)) is not None
    }


def foreign_names(schema: Schema, live: Live, declared: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """(kind, id) → the name of every live object that is not declared; the first of several with one name keeps it."""
    names: dict[tuple[str, str], str] = {}
    for kind_name in live.objects:
        kind = schema.kinds.get(kind_name)
        if kind is None:
            continue
        for item in live.of(kind_name):
            place = (kind_name, str(item["id"]))
            if place in declared:
                continue
            if kind_name in KINDS:
                names[place] = live.key(kind_name, item)
            elif kind.singleton:
                names[place] = SINGLETON
            else:
                names[place] = _key(kind, item, live) or str(item["id"])
    return names
