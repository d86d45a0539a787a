"""Values of the server as they are written in `stalwart_objects`, and those as Python source."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tailwart.stalwart.objects.defaults import is_default
from tailwart.stalwart.objects.shaping import fields_of
from tailwart.stalwart.objects.units import FORMS, written
from tailwart.stalwart.protocol.values import MASKED, TYPE, canonical, listed
from tailwart.stalwart.schema.model import Field, Schema, Shape, Structure, Type, Update

_VARIABLE = "EnvironmentVariable"
_WIDTH = 112
OMITTED = object()
"""Stands for a value that is not written at all."""

NameOf = Callable[[str, str], str | None]
"""The name of an object by kind and id."""


@dataclass(slots=True)
class Unshaper:
    """One object's fields, from the server's form to the file's. `place` names the object.

    `secrets` collects for each secret that nobody can read the field that holds it and the `.env` key to use for it.
    With `placeholders` such a field is written with that key, otherwise it is left out: it stays as it is. With
    `defaults` values that are the server's own defaults are written too.
    """

    schema: Schema
    place: tuple[str, ...]
    name_of: NameOf
    placeholders: bool = False
    defaults: bool = False
    secrets: dict[str, str] = field(default_factory=dict)

    def fields(self, structure: Structure, item: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[str, Any]:
        """What differs from the server's defaults; `@type` where the structure has variants and one is named."""
        found: dict[str, Any] = {}
        if not structure.single and TYPE in item:
            found[TYPE] = str(item[TYPE])
        for name, each in sorted(fields_of(structure, str(item.get(TYPE, ""))).items()):
            if name not in item or each.update is Update.SERVER_SET:
                continue
            if not self.defaults and (is_default(self.schema, each, item[name]) or _stamp(each)):
                continue
            value = self.value(each.type, item[name], (*path, name))
            # The server returns empty texts and takes none.
            if value is not OMITTED and value != "":
                found[name] = value
        return found

    def value(self, type_: Type, value: Any, path: tuple[str, ...]) -> Any:
        """One value; OMITTED for a secret without a placeholder and for a reference that leads nowhere."""
        if value is not None and (type_.secret or value == MASKED or _has_login(value)):
            return self._secret(path)
        if isinstance(value, Mapping):
            structure = self.schema.structures.get(type_.of)
            if type_.shape is Shape.OBJECT and structure is not None:
                return self._object(structure, value, path)
            return self._members(type_, value, path)
        if type_.shape is Shape.OBJECT_ID and value is not None:
            return self.name_of(self.schema.referred(type_.of), str(value)) or OMITTED
        if type_.format in FORMS and isinstance(value, int):
            return written(type_.format, value)
        return canonical(value) if type_.format == "emailAddress" else value

    def _members(self, type_: Type, value: Mapping[str, Any], path: tuple[str, ...]) -> Any:
        """Sets, maps and lists are managed as a whole: one that lacks something inside is left out altogether."""
        item = type_.item or Type(Shape.OBJECT, of=type_.of)
        if type_.shape is Shape.SET:
            members = [self.value(item, name, (*path, name)) for name, present in value.items() if present]
            return OMITTED if OMITTED in members else sorted(members, key=str)
        before = len(self.secrets)
        if type_.shape is Shape.MAP:
            found: Any = {name: self.value(item, each, (*path, name)) for name, each in sorted(value.items())}
            inside = list(found.values())
        else:
            found = inside = [self.value(item, each, (*path, str(at))) for at, each in enumerate(listed(value))]
        left_out = not self.placeholders and len(self.secrets) > before
        return OMITTED if left_out or any(each is OMITTED for each in inside) else found

    def _object(self, structure: Structure, value: Mapping[str, Any], path: tuple[str, ...]) -> Any:
        if value.get(TYPE) == _VARIABLE:
            return {"env": str(value.get("variableName"))}
        if _VARIABLE in structure.variants and "secret" in value:
            return self._secret(path)
        return self.fields(structure, value, path)

    def _secret(self, path: tuple[str, ...]) -> Any:
        key = secret_name((*self.place, *path))
        self.secrets["/".join(path)] = key
        return {"env": key} if self.placeholders else OMITTED


def _stamp(known: Field) -> bool:
    """Whether a field says when the object was made."""
    return known.update is Update.IMMUTABLE and known.type.shape is Shape.TIME


def _has_login(value: Any) -> bool:
    """Whether a text is a URL with a password in it."""
    return isinstance(value, str) and re.match(r"[a-z][a-z0-9+.-]*://[^/@\s]*:[^/@\s]+@", value) is not None


def secret_name(path: tuple[str, ...]) -> str:
    """The `.env` key for a secret at a place.

    secret_name(("WebHook", "hook", "signatureKey")) == "SECRET_WEBHOOK_HOOK_SIGNATUREKEY"
    """
    return "SECRET_" + re.sub(r"[^A-Z0-9]+", "_", "_".join(path).upper()).strip("_")


def source(value: Any, indent: int = 0) -> str:
    """A value as Python source: on one line where it fits, else one item a line.

    source({"a": [1, True]}) == '{"a": [1, True]}'
    """
    flat = _flat(value)
    if len(flat) + indent <= _WIDTH and "\n" not in flat:
        return flat
    inner, outer = " " * (indent + 4), " " * indent
    if isinstance(value, Mapping) and value:
        lines = (f"{inner}{_flat(name)}: {source(each, indent + 4)},\n" for name, each in value.items())
        return "{\n" + "".join(lines) + outer + "}"
    if isinstance(value, list) and value:
        return "[\n" + "".join(f"{inner}{source(each, indent + 4)},\n" for each in value) + outer + "]"
    if isinstance(value, str) and "\n" in value:
        lines = (f"{inner}{_flat(line)}\n" for line in value.splitlines(keepends=True))
        return "(\n" + "".join(lines) + outer + ")"
    return flat


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flat(name)}: {_flat(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flat, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
