"""The schema for people and as data: kinds, fields, types, defaults, and what a change of them brings about."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tailwart.errors import TailwartError
from tailwart.stalwart.objects import keys
from tailwart.stalwart.objects.declared import NOT_SETTINGS
from tailwart.stalwart.objects.units import written
from tailwart.stalwart.protocol.effects import UNMEASURED, effects_of
from tailwart.stalwart.schema.model import MISSING, Field, Kind, Schema, Shape, Structure, Type, Update, nearest

_WIDTH = 110


def kinds(schema: Schema) -> list[dict[str, Any]]:
    """Every kind that can be declared."""
    return [
        {
            "kind": kind.name,
            "objects": "one" if kind.singleton else "many",
            "enterprise": kind.enterprise,
            "description": kind.description,
        }
        for kind in sorted(schema.kinds.values(), key=lambda each: each.name)
        if kind.name not in NOT_SETTINGS
    ]


def kind(schema: Schema, name: str) -> dict[str, Any]:
    """One kind with its fields, by variant; raises TailwartError for an unknown one, with the nearest name."""
    found = _kind(schema, name)
    return {
        "kind": found.name,
        "objects": "one" if found.singleton else "many",
        "enterprise": found.enterprise,
        "description": found.description,
        "told_apart_by": list(() if found.singleton else keys.key_fields(found)),
        "declared": NOT_SETTINGS.get(found.name, "yes") if found.name in NOT_SETTINGS else "yes",
        "variants": _variants(schema, found.structure, found.name),
    }


def field(schema: Schema, name: str, path: str) -> dict[str, Any]:
    """One field of a kind, with all its values or the fields inside it; raises TailwartError for an unknown one."""
    found = _kind(schema, name)
    parts = path.replace("/", ".").split(".")
    known = schema.field(found.name, "/".join(parts))
    if known is None:
        names = _names_at(schema, found, parts[:-1])
        near = nearest(parts[-1], names)
        raise TailwartError(
            f"{found.name} has no field {path}",
            seen=parts[-1],
            expected=f"one of {', '.join(names)}" if names else "a field",
            remedy=f"tailwart settings describe {found.name}{'.' + '.'.join([*parts[:-1], near]) if near else ''}",
        )
    inner = _inner(known.type)
    described = _field(schema, known, found.name, parts[0])
    if inner.shape is Shape.ENUM:
        described["values"] = list(schema.enums.get(inner.of, ()))
    if inner.of in schema.structures:
        described["variants"] = _variants(schema, schema.structures[inner.of], "")
    return {"kind": found.name, "field": "/".join(parts), **described}


def _kind(schema: Schema, name: str) -> Kind:
    plain = schema.referred(name.removeprefix("x:"))
    if (found := schema.kinds.get(plain)) is not None:
        return found
    near = nearest(plain, schema.kinds)
    raise TailwartError(
        f"there is no kind {name}",
        seen=name,
        expected="one of the kinds that `tailwart settings describe` lists",
        remedy=f"tailwart settings describe {near}".rstrip(),
    )


def _names_at(schema: Schema, found: Kind, parts: list[str]) -> list[str]:
    if not parts:
        return list(found.structure.field_names())
    holder = schema.field(found.name, "/".join(parts))
    structure = schema.structures.get(_inner(holder.type).of) if holder else None
    return list(structure.field_names()) if structure else []


def _inner(type_: Type) -> Type:
    """The type of the members of a set or a map; the type itself otherwise."""
    return type_.item if type_.item is not None else type_


def _variants(schema: Schema, structure: Structure, of: str) -> list[dict[str, Any]]:
    return [
        {
            "@type": variant.name,
            "label": variant.label,
            "fields": [_field(schema, each, of, each.name) for each in variant.fields.values()],
        }
        for variant in structure.variants.values()
    ]


def _field(schema: Schema, found: Field, of: str, top: str) -> dict[str, Any]:
    """`of` is the kind that the field belongs to, empty inside an object; `top` its first part there."""
    described: dict[str, Any] = {
        "name": found.name,
        "type": _type(schema, found.type),
        "required": found.required or schema.incomplete(found),
        "set": {Update.MUTABLE: "any time", Update.IMMUTABLE: "at creation", Update.SERVER_SET: "by the server"}[
            found.update
        ],
        "default": None if found.default is MISSING else found.default,
        "enterprise": found.enterprise,
        "description": found.description,
    }
    if of and found.update is not Update.SERVER_SET:
        rows = effects_of(of, {top})
        described["then"] = sorted({row.action.value or "nothing" for row in rows})
        described["measured"] = [row.measured for row in rows if row is not UNMEASURED]
    return described


def _type(schema: Schema, type_: Type) -> str:
    """What is written in `stalwart_objects`: references are names there, secrets are names of `.env` keys."""
    text = schema.describe(type_).replace("the id of a ", "the name of a ")
    structure = schema.structures.get(_inner(type_).of)
    secret = _inner(type_).secret or (structure is not None and "EnvironmentVariable" in structure.variants)
    return f'{text}, or {{"env": "SECRET_…"}}' if secret else text


def text_of_kinds(described: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Lines: one per kind, and how to go on."""
    width = max(len(each["kind"]) for each in described)
    for each in described:
        mark = "1" if each["objects"] == "one" else "n"
        licence = " (Enterprise)" if each["enterprise"] else ""
        line = f"{each['kind']:<{width}}  {mark}  {each['description'].partition('. ')[0].rstrip('.')}{licence}"
        yield textwrap.shorten(line, _WIDTH + 20, placeholder=" …") if len(line) > _WIDTH + 20 else line
    yield ""
    yield "1: one object, its fields; n: objects by name. Next: tailwart settings describe KIND[.FIELD]"


def text_of_kind(described: Mapping[str, Any]) -> Iterator[str]:
    """Lines: the kind, its fields by variant, each with type, default, when it can be set, and what follows."""
    yield f"{described['kind']}: {described['description']}"
    if described["declared"] != "yes":
        yield f"Cannot be declared: {described['declared']}"
    if described["enterprise"]:
        yield "Only with an Enterprise licence."
    if described["told_apart_by"]:
        yield f"Objects are told apart by {', '.join(described['told_apart_by'])}."
    writable = [
        each for variant in described["variants"] for each in variant["fields"] if each["set"] != "by the server"
    ]
    same = len({_then(each) for each in writable}) == 1
    if same:
        yield f"After a change: {_then(writable[0])}."
    yield from _text_of_variants(described["variants"], with_effects=not same)
    for example in writable[:1]:
        yield ""
        yield f"Next: tailwart settings describe {described['kind']}.{example['name']}"


def text_of_field(described: Mapping[str, Any]) -> Iterator[str]:
    """Lines: one field in full."""
    yield f"{described['kind']}.{described['field'].replace('/', '.')}: {described['description']}"
    yield from (f"  {line}" for line in _facts(described))
    if values := described.get("values"):
        yield from textwrap.wrap(
            ", ".join(values), _WIDTH, initial_indent="  values: ", subsequent_indent="    ", break_on_hyphens=False
        )
    yield from _text_of_variants(described.get("variants", ()))


def _text_of_variants(variants: Any, *, with_effects: bool = True) -> Iterator[str]:
    for variant in variants:
        yield ""
        if variant["@type"]:
            yield f'"@type": "{variant["@type"]}"  {variant["label"]}'
        for each in variant["fields"]:
            yield f"  {each['name']}: {'; '.join(_facts(each, with_effects=with_effects))}"
            yield from textwrap.wrap(each["description"], _WIDTH, initial_indent="      ", subsequent_indent="      ")


def _facts(described: Mapping[str, Any], *, with_effects: bool = True) -> Iterator[str]:
    yield described["type"]
    if described["set"] == "by the server":
        yield "set by the server"
        return
    if described["required"]:
        yield "required"
    elif described["default"] is not None:
        yield f"default {_shown(described['default'], described['type'])}"
    if described["set"] == "at creation":
        yield "only at creation"
    if described["enterprise"]:
        yield "only with an Enterprise licence"
    if with_effects and described.get("then"):
        yield f"then {_then(described)}"


def _then(described: Mapping[str, Any]) -> str:
    """What follows a change, and why; or that nobody measured it."""
    known = described.get("measured")
    return f"{', '.join(described['then'])} ({'; '.join(known) if known else 'not measured'})"


def _shown(value: Any, type_: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        if type_.startswith("a duration"):
            return str(written("duration", value))
        if type_.startswith("a size"):
            return str(written("size", value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def completions(schema: Schema, begun: str) -> list[str]:
    """What `describe` may be called with, beginning like this: kinds, and behind a dot their fields."""
    name, dot, rest = begun.partition(".")
    if not dot:
        return [each for each in sorted(schema.kinds) if each.lower().startswith(begun.lower())]
    found = schema.kinds.get(name)
    if found is None:
        return []
    *parents, last = rest.split(".")
    prefix = ".".join([name, *parents])
    names = _names_at(schema, found, parents)
    return [f"{prefix}.{each}" for each in names if each.lower().startswith(last.lower())]
