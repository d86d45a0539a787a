"""The server's schema document as a `Schema`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tailwart.errors import TailwartError
from tailwart.stalwart.schema.model import MISSING, Field, Kind, Schema, Shape, Structure, Type, Update, Variant

_PREFIX = "x:"
_SHAPES = frozenset(Shape) - {Shape.OTHER}
_UPDATES = frozenset(Update)


def parse(document: Any, digest: str = "") -> Schema:
    """The kinds, structures and enumerations of a schema document; `digest` is the server's own name for it.

    Raises TailwartError for a document of another form. Unknown parts of a newer schema are kept as far as they are
    understood: what is unknown is not checked.
    """
    try:
        return _schema(document, digest)
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        raise TailwartError(
            "Stalwart's schema cannot be read",
            seen=f"{type(problem).__name__}: {problem}",
            expected="objects, schemas, fields and enums, as 0.16.7 and 0.16.18 publish them",
            remedy="set STALWART_IMAGE to a version that is tested (docs/upgrade.md)",
        ) from None


def _schema(document: Mapping[str, Any], digest: str) -> Schema:
    # Kinds without the prefix are the mail data of RFC 8621 and its companions: no settings, and some names collide.
    fields = {
        _bare(name): _fields(described) for name, described in document["fields"].items() if name.startswith(_PREFIX)
    }
    structures = {
        _bare(name): _structure(_bare(name), described, fields)
        for name, described in document["schemas"].items()
        if name.startswith(_PREFIX)
    }
    kinds: dict[str, Kind] = {}
    views: dict[str, str] = {}
    for full, described in document["objects"].items():
        name = _bare(full)
        if not full.startswith(_PREFIX):
            continue
        if described["type"] == "view":
            views[name] = _bare(described["objectName"])
        elif name in structures:
            kinds[name] = Kind(
                name,
                structures[name],
                str(described.get("description", "")),
                described["type"] == "singleton",
                bool(described.get("enterprise")),
            )
    enums = {name: tuple(str(each["name"]) for each in values) for name, values in document["enums"].items()}
    return Schema(kinds, structures, enums, views, digest)


def _bare(name: str) -> str:
    return name.removeprefix(_PREFIX)


def _structure(name: str, described: Mapping[str, Any], fields: Mapping[str, Mapping[str, Field]]) -> Structure:
    if described["type"] == "multiple":
        variants = {
            str(each["name"]): Variant(
                str(each["name"]), str(each.get("label", "")), fields.get(_bare(each.get("schemaName", "")), {})
            )
            for each in described["variants"]
        }
        return Structure(name, variants)
    return Structure(name, {"": Variant("", "", fields.get(_bare(described["schemaName"]), {}))})


def _fields(described: Mapping[str, Any]) -> Mapping[str, Field]:
    defaults = described.get("defaults") or {}
    return {
        name: Field(
            name,
            _type(each["type"]),
            Update(each["update"]) if each.get("update") in _UPDATES else Update.MUTABLE,
            str(each.get("description", "")),
            defaults.get(name, MISSING),
            bool(each.get("enterprise")),
        )
        for name, each in sorted(described["properties"].items())
    }


def _type(described: Mapping[str, Any]) -> Type:
    word = str(described["type"])
    if word not in _SHAPES:
        return Type(Shape.OTHER, format=word, nullable=True)
    item = described.get("class") or described.get("valueClass")
    key = described.get("keyClass")
    return Type(
        Shape(word),
        str(described.get("format", "")),
        bool(described.get("nullable")),
        described.get("min"),
        described.get("max"),
        described.get("maxLength"),
        int(described.get("minItems", 0)),
        str(described.get("enumName") or _bare(described.get("objectName", ""))),
        _type(key) if key else None,
        _type(item) if item else None,
    )
