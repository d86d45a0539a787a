"""Every write against the schema of the server that is about to take it, before the first one is sent.

A release may change a field's type. Then the whole plan is refused in words, instead of half of it being written and
the rest being refused by the server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tailwart import releases
from tailwart.errors import TailwartError
from tailwart.plan.model import Action
from tailwart.stalwart.protocol.kinds import Object
from tailwart.stalwart.protocol.orders import ORDERS
from tailwart.stalwart.protocol.values import PublicText, Ref
from tailwart.stalwart.schema.checking import Problem, problems
from tailwart.stalwart.schema.model import Schema, Shape
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.documents import creation, update
from tailwart.stalwart.settings.planning import ObjectChange

# Stands in for the id of an object that the plan creates, and for a hash: only their types are checked.
_ID = "a"
_HASH = "$argon2id$"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One field of one object that the running server does not take as it is written here."""

    ref: Ref
    problem: Problem

    def message(self) -> str:
        """The object, the field, what is written and what the server takes."""
        return f"{self.ref.kind} {self.ref.key}, {self.problem.message()}"


def adapted(changes: Iterable[ObjectChange], schema: Schema | None, version: str = "") -> list[ObjectChange]:
    """The changes in the form of this server, where releases differ; by its version where it shows no schema."""
    return [replace(change, values=_adapted(change, schema, version)) for change in changes]


def _adapted(change: ObjectChange, schema: Schema | None, version: str) -> dict[str, Any]:
    variant = str(change.values.get("@type") or change.live.get("@type") or "")
    values = dict(change.values)
    for path, value in values.items():
        if not isinstance(value, PublicText):
            continue
        field = schema.field(change.ref.kind, path, variant) if schema else None
        as_object = field.type.shape is not Shape.STRING if field else releases.text_as_object(version)
        values[path] = value.as_object() if as_object else value.text
    return values


def mismatches(changes: Iterable[ObjectChange], schema: Schema) -> list[Mismatch]:
    """What this server would refuse of these changes, by its schema."""
    return list(_mismatches(changes, schema))


def _mismatches(changes: Iterable[ObjectChange], schema: Schema) -> Iterator[Mismatch]:
    for change in changes:
        if change.action is Action.DELETE:
            document: dict[str, Any] | None = None
            found = [] if change.ref.kind in schema.kinds else problems(schema, change.ref.kind, {}, creating=False)
        elif change.action is Action.CREATE:
            document = creation(change, _resolve, _Hashes())
            found = problems(schema, change.ref.kind, document, creating=True)
        else:
            document = update(change, _resolve, _Hashes())
            found = problems(schema, change.ref.kind, document, creating=False, live=change.live)
        yield from (Mismatch(change.ref, each) for each in found)


def _resolve(_: Ref) -> str:
    return _ID


class _Hashes(dict[str, str]):
    def __missing__(self, _: str) -> str:
        return _HASH


def everything(desired: Sequence[DesiredObject], schema: Schema, version: str = "") -> list[Mismatch]:
    """What this server would refuse of all that is declared and ordered, whatever it holds now."""
    singletons = {kind.name for kind in schema.kinds.values() if kind.singleton}
    changes = adapted((_as_new(item, item.kind in singletons) for item in desired), schema, version)
    orders = (
        Mismatch(Ref(kind, str(document["@type"])), each)
        for kind, document in ORDERS
        for each in problems(schema, kind, document, creating=True)
    )
    return [*mismatches(changes, schema), *orders]


def _as_new(item: DesiredObject, singleton: bool) -> ObjectChange:
    """The change that makes the object from nothing; a singleton is there already, in some other variant."""
    values = {
        path: value
        for path, value in {**item.at_creation, **item.fields}.items()
        if value is not None and value not in ((), frozenset())
    }
    password = item.password.get_secret_value() if item.password else None
    action = Action.UPDATE if singleton else Action.CREATE
    live: Object = {}
    return ObjectChange(action, item.ref, None, values, live, password, item.masked)


def require(found: Sequence[Mismatch], version: str) -> None:
    """Raises TailwartError that names every mismatch; nothing when there is none."""
    if found:
        raise TailwartError(
            f"Stalwart {version or 'of an unknown version'} takes other settings than this deploy writes",
            seen="\n".join(item.message() for item in found),
            expected="the types of the server's own schema; nothing was written",
            remedy=f"set STALWART_IMAGE to {releases.DEFAULT_IMAGE}, the newest release that was tested; "
            "`tailwart settings compat` checks another one",
        )
