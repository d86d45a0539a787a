"""The live state as `stalwart_objects`: what a server was given by clicks, as code that plans nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tailwart.stalwart.objects import keys, owned
from tailwart.stalwart.objects.declared import NAME, NOT_SETTINGS
from tailwart.stalwart.objects.identity import natural_names
from tailwart.stalwart.objects.notes import Notes
from tailwart.stalwart.objects.source import Unshaper, source
from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.protocol.kinds import Object
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.values import TYPE
from tailwart.stalwart.schema.model import Kind, Schema
from tailwart.stalwart.settings.desired_object import DesiredObject

# What the server makes by itself, and makes again.
_SERVER_MADE = frozenset({"BlockedIp", "Certificate", "DkimSignature", "PublicKey"})


@dataclass(frozen=True, slots=True)
class Export:
    """The mapping, and remarks: sentences on what is not in it and why."""

    objects: Mapping[str, Any]
    remarks: tuple[str, ...] = ()

    def text(self) -> str:
        """The source that goes into `group_data/mailbox.py`."""
        head = "".join(f"# {remark}\n" for remark in self.remarks)
        return f"{head}{NAME} = {source(self.objects)}\n"


def kinds(schema: Schema) -> tuple[Kind, ...]:
    """The kinds that are exported."""
    return tuple(
        kind for kind in schema.kinds.values() if kind.name not in NOT_SETTINGS and kind.name not in _SERVER_MADE
    )


def export(
    schema: Schema, live: Live, builtin: Sequence[DesiredObject], notes: Notes, only: Iterable[str] = ()
) -> Export:
    """Everything that the server holds beside the settings of this project and the server's own defaults.

    `only` are the kinds to export, all where it is empty. `live` holds the kinds of `kinds`.
    """
    wanted = set(only) or {kind.name for kind in kinds(schema)}
    writer = _Writer(schema, live, tuple(builtin), notes)
    found: dict[str, Any] = {}
    for kind in sorted(kinds(schema), key=lambda each: each.name):
        if kind.name in wanted and (content := writer.kind(kind)):
            found[kind.name] = content
    return Export(found, tuple(writer.remarks))


class _Writer:
    def __init__(self, schema: Schema, live: Live, builtin: tuple[DesiredObject, ...], notes: Notes) -> None:
        self.schema = schema
        self.live = live
        self.remarks: list[str] = []
        self._builtin = {
            (item.kind, str(found["id"])): item for item in builtin if (found := live.get(item.ref)) is not None
        }
        self._names = natural_names(schema, live)
        self._noted = {(kind, note.identifier): name for (kind, name), note in notes.items() if note.identifier}

    def kind(self, kind: Kind) -> dict[str, Any]:
        items = sorted(self.live.of(kind.name), key=lambda item: self._name(kind, item))
        if kind.singleton:
            fields = self._fields(kind, items[0], SINGLETON) if items else {}
            return {} if fields == {TYPE: next(iter(kind.structure.variants))} else fields
        found: dict[str, Any] = {}
        for item in items:
            name = self._free(self._name(kind, item), found)
            fields = self._fields(kind, item, name)
            if fields or (kind.name, str(item["id"])) not in self._builtin:
                found[name] = fields
        return found

    def _fields(self, kind: Kind, item: Object, name: str) -> dict[str, Any]:
        place = (kind.name,) if name == SINGLETON else (kind.name, name)
        unshaper = Unshaper(self.schema, place, self._name_of)
        fields = unshaper.fields(kind.structure, item)
        setting = self._builtin.get((kind.name, str(item["id"])))
        if setting is not None:
            managed = owned.managed_fields(setting) | setting.at_creation.keys() | {TYPE}
            managed |= set(() if kind.singleton else keys.key_fields(kind))
            fields = {field: value for field, value in fields.items() if field not in managed}
            unshaper.secrets = {
                path: key for path, key in unshaper.secrets.items() if path.partition("/")[0] not in managed
            }
        else:
            fields = self._without_name(kind, name, fields)
        for path, key in unshaper.secrets.items():
            if kind.name != "Account":
                title = f"{' '.join(place)}, {path}"
                self.remarks.append(
                    f'{title}: a secret, kept as it is. To manage it: {{"env": "{key}"}}, and {key} in .env.'
                )
        return fields

    def _without_name(self, kind: Kind, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Without the fields that the name in the file stands for."""
        implied = keys.named(kind, name, {}, "") if not kind.singleton else {}
        return {field: value for field, value in fields.items() if implied.get(field) != value}

    def _name(self, kind: Kind, item: Object) -> str:
        place = (kind.name, str(item["id"]))
        return self._noted.get(place) or self._names.get(place) or str(item.get(TYPE) or kind.name)

    @staticmethod
    def _free(name: str, taken: Mapping[str, Any]) -> str:
        """A name that is not taken: several objects may have the same key where the server lets them."""
        return next(each for each in _numbered(name) if each not in taken)

    def _name_of(self, kind: str, identifier: str) -> str | None:
        return self._names.get((kind, identifier))


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name} {number}"
        number += 1
