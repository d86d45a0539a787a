"""Plans of Stalwart's own client (`stalwart-cli apply`, `snapshot`) as `stalwart_objects`.

A plan is one operation a line (NDJSON), or an array of them. `create` and `upsert` hold new objects under names of the
plan's own, which references begin with `#`; `update` changes one object, `destroy` removes those that a filter finds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tailwart.errors import TailwartError
from tailwart.stalwart.objects import keys
from tailwart.stalwart.objects.declared import NEVER_DELETED, NOT_SETTINGS
from tailwart.stalwart.objects.exporting import Export
from tailwart.stalwart.objects.source import Unshaper
from tailwart.stalwart.protocol.values import TYPE
from tailwart.stalwart.schema.model import Kind, Schema, nearest

_OPERATIONS = ("create", "upsert", "update", "destroy")


@dataclass(frozen=True, slots=True)
class _Operation:
    line: int
    what: str
    kind: Kind
    document: Mapping[str, Any]


@dataclass(slots=True)
class _Import:
    schema: Schema
    names: dict[str, tuple[str, str]] = field(default_factory=dict)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def collect(self, operation: _Operation) -> None:
        """Give each new object of a plan the name that it has in the file."""
        if operation.what not in ("create", "upsert") or operation.kind.singleton:
            return
        for own, item in _bodies(operation):
            self.names[own.removeprefix("#")] = (operation.kind.name, self._name(operation.kind, item, own))

    def take(self, operation: _Operation) -> None:
        if operation.what == "destroy":
            self._destroy(operation)
        elif operation.what == "update":
            self._update(operation)
        elif operation.kind.singleton:
            for _, item in _bodies(operation):
                self._add(operation.kind, None, item)
        else:
            for own, item in _bodies(operation):
                self._add(operation.kind, self.names[own.removeprefix("#")][1], item)

    def _update(self, operation: _Operation) -> None:
        value = operation.document.get("value")
        if not isinstance(value, Mapping):
            raise _wrong(operation.line, "an update without a value", "a mapping of fields")
        if operation.kind.singleton:
            self._add(operation.kind, None, _nested(value))
            return
        own = str(operation.document.get("id") or "")
        known = self.names.get(own.removeprefix("#"))
        if not own.startswith("#") or known is None:
            self.remarks.append(
                f"line {operation.line}: {operation.kind.name} {own or '(no id)'} is named by an id of another server; "
                "declare it by its name"
            )
            return
        self._add(operation.kind, known[1], _nested(value))

    def _destroy(self, operation: _Operation) -> None:
        """Only what a filter names by its key: plans destroy whole kinds only to create them again."""
        kind, wanted = operation.kind, operation.document.get("value")
        told = keys.key_fields(kind)
        name = (
            wanted.get(told[0]) if isinstance(wanted, Mapping) and len(told) == 1 and set(wanted) == set(told) else None
        )
        if isinstance(name, str) and kind.name not in NEVER_DELETED:
            self.objects.setdefault(kind.name, {}).setdefault(name, None)
        else:
            self.remarks.append(
                f"line {operation.line}: destroying {kind.name} is left out; what must not exist is declared by its "
                "name, as None"
            )

    def _add(self, kind: Kind, name: str | None, item: Mapping[str, Any]) -> None:
        place = (kind.name,) if name is None else (kind.name, name)
        unshaper = Unshaper(self.schema, place, self._referred, placeholders=True, defaults=True)
        fields = unshaper.fields(kind.structure, item)
        unknown = sorted(set(item) - set(kind.structure.field_names()) - {TYPE})
        for each in unknown:
            near = nearest(each, kind.structure.field_names())
            hint = f"; did it mean {near}?" if near else ""
            self.remarks.append(f"{' '.join(place)}: this server knows no field {each}{hint}")
        for path, key in unshaper.secrets.items():
            self.remarks.append(f"{' '.join(place)}, {path}: put the secret into .env as {key}")
        if name is None:
            self.objects.setdefault(kind.name, {}).update(fields)
            return
        implied = keys.named(kind, name, {}, "")
        fields = {each: value for each, value in fields.items() if implied.get(each) != value}
        held = self.objects.setdefault(kind.name, {})
        held[name] = {**(held.get(name) or {}), **fields}

    def _referred(self, kind: str, reference: str) -> str | None:
        known = self.names.get(reference.removeprefix("#")) if reference.startswith("#") else None
        return known[1] if known and known[0] == kind else reference.removeprefix("#")

    def _name(self, kind: Kind, item: Mapping[str, Any], own: str) -> str:
        told = keys.key_fields(kind)
        if kind.name in ("Account", "MailingList"):
            domain = self._referred("Domain", str(item.get("domainId", "")))
            return f"{item.get('name', own)}@{domain}" if domain else str(item.get("name", own))
        value = item.get(told[-1] if kind.name.startswith("MemoryLookup") else told[0]) if told else None
        return value if isinstance(value, str) and value else own.removeprefix("#")


def read(text: str, schema: Schema) -> Export:
    """The declaration that a plan becomes, and remarks on what it does not become.

    No secret of the plan is in it: each becomes a key of `.env`. Raises TailwartError with the line for a text that is
    no plan, and for a kind that the server does not know.
    """
    made = _Import(schema)
    operations = list(_operations(text, schema, made.remarks))
    for operation in operations:
        made.collect(operation)
    for operation in operations:
        made.take(operation)
    return Export(made.objects, tuple(dict.fromkeys(made.remarks)))


def _operations(text: str, schema: Schema, remarks: list[str]) -> Iterator[_Operation]:
    for line, document in _documents(text):
        if not isinstance(document, Mapping) or document.get(TYPE) not in _OPERATIONS:
            raise _wrong(line, "not an operation", f'an object with "@type" {", ".join(_OPERATIONS)}')
        name = str(document.get("object", "")).removeprefix("x:")
        found = {each.lower(): each for each in schema.kinds}.get(schema.referred(name).lower())
        if found is None:
            near = nearest(name, schema.kinds)
            raise _wrong(line, f"unknown kind {name}", f"a kind of this server{f', such as {near}' if near else ''}")
        if found in NOT_SETTINGS:
            remarks.append(f"line {line}: {found} is left out: {NOT_SETTINGS[found]}")
        else:
            yield _Operation(line, str(document[TYPE]), schema.kinds[found], document)


def _documents(text: str) -> Iterator[tuple[int, Any]]:
    if text.lstrip().startswith("["):
        try:
            yield from ((1, each) for each in json.loads(text))
        except ValueError as problem:
            raise _wrong(getattr(problem, "lineno", 1), "not JSON", "one operation a line, or an array") from None
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith(("#", "//")):
            try:
                yield number, json.loads(line)
            except ValueError:
                raise _wrong(number, "not JSON", "one operation a line, as `stalwart-cli apply` takes it") from None


def _bodies(operation: _Operation) -> Iterator[tuple[str, Mapping[str, Any]]]:
    value = operation.document.get("value")
    if not isinstance(value, Mapping) or not all(isinstance(each, Mapping) for each in value.values()):
        raise _wrong(operation.line, f"{operation.what} without objects", "a mapping of names to objects")
    yield from ((str(own), item) for own, item in value.items())


def _nested(patch: Mapping[str, Any]) -> dict[str, Any]:
    """A patch by path as the object that it describes: `{"rate/count": 5}` → `{"rate": {"count": 5}}`."""
    found: dict[str, Any] = {}
    for path, value in patch.items():
        *parents, last = path.split("/")
        target = found
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return found


def _wrong(line: int, seen: str, expected: str) -> TailwartError:
    return TailwartError(
        "this is no plan of Stalwart's client",
        seen=f"line {line}: {seen}",
        expected=expected,
        remedy="write it with `stalwart-cli snapshot` or `tailwart settings export`",
    )
