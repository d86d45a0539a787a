"""The schemas that servers publish, from `shared` beside the checkout, and a small one for what needs no server."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tailwart.stalwart.schema.model import Schema
from tailwart.stalwart.schema.parsing import parse
from tailwart.stalwart.settings.desired_object import DesiredObject

ABSENT = "Stalwart's schemas are not part of this repository, and there is no ../shared/stalwart"


def folder() -> Path | None:
    """Where the schemas are; None in a checkout without such a folder."""
    found = (up / "shared" / "stalwart" for up in Path(__file__).parents)
    return next((each for each in found if each.is_dir()), None)


def versions() -> tuple[str, ...]:
    """Every version whose schema is there, 0.16.7 and 0.16.18 without the folder: their tests are then skipped."""
    names = sorted(path.name for path in (folder() or Path("/nonexistent")).glob("schema-*.json.gz"))
    return tuple(name.removeprefix("schema-").removesuffix(".json.gz") for name in names) or ("0.16.7", "0.16.18")


@cache
def _document(path: Path) -> dict[str, Any]:
    with gzip.open(path) as file:
        loaded = json.load(file)
    assert isinstance(loaded, dict)
    return loaded


def document(version: str) -> dict[str, Any]:
    """One version's schema as the server sends it; skips the test where there is none."""
    found = folder()
    if found is None:
        pytest.skip(ABSENT)
    return _document(found / f"schema-{version}.json.gz")


@cache
def _parsed(version: str) -> Schema:
    return parse(document(version), version)


def schema(version: str) -> Schema:
    """One version's schema, parsed; skips the test where there is none."""
    document(version)
    return _parsed(version)


def _field(shape: str, update: str = "mutable", of: Any = None, **rest: Any) -> dict[str, Any]:
    inner = {"class": of} if of else {}
    return {"type": {"type": shape, **inner, **rest}, "update": update, "description": "words"}


# A shelf of books: every shape of the real schema, none of its names.
SMALL: dict[str, Any] = {
    "objects": {
        "x:Book": {"type": "object", "description": "Something to read."},
        "x:Book/Novel": {"type": "view", "objectName": "x:Book"},
        "x:Shelf": {"type": "singleton", "description": "Where books are."},
        "Mail": {"type": "object"},
    },
    "schemas": {
        "x:Book": {
            "type": "multiple",
            "variants": [
                {"name": "Novel", "label": "A novel", "schemaName": "x:Novel"},
                {"name": "Map", "label": "A map", "schemaName": "x:Chart"},
                {"name": "Blank", "label": "Nothing yet"},
            ],
        },
        "x:Shelf": {"type": "single", "schemaName": "x:Shelf"},
        "x:Cover": {"type": "single", "schemaName": "x:Cover"},
        "x:Lock": {
            "type": "multiple",
            "variants": [{"name": "None"}, {"name": "Key", "schemaName": "x:LockKey"}],
        },
    },
    "fields": {
        "x:Novel": {
            "properties": {
                "title": _field("string", format="string"),
                "isbn": _field("string", "immutable", format="string", nullable=True),
                "pages": _field("number", format="unsignedInteger", min=1, max=5000),
                "genre": _field("enum", enumName="Genre"),
                "added": _field("utcDateTime", "serverSet"),
                "cover": _field("object", objectName="x:Cover"),
                "chapters": _field("objectList", objectName="x:Cover"),
                "sequel": _field("objectId", objectName="x:Book/Novel", nullable=True),
            },
            "defaults": {"pages": 100},
        },
        "x:Chart": {
            "properties": {"title": _field("string", format="string"), "scale": _field("number", format="float")}
        },
        "x:Cover": {
            "properties": {"colour": _field("string", format="string"), "weight": _field("number", format="size")},
        },
        "x:LockKey": {"properties": {"secret": _field("string", format="secret")}},
        "x:Shelf": {
            "properties": {
                "owner": _field("string", format="emailAddress", maxLength=10),
                "lock": _field("object", objectName="x:Lock"),
                "places": _field("set", of={"type": "string", "format": "ipNetwork"}, minItems=1),
                "address": _field("string", format="socketAddress", nullable=True),
                "limits": _field(
                    "map",
                    keyClass={"type": "enum", "enumName": "Genre"},
                    valueClass={"type": "number", "format": "duration"},
                ),
                "oak": _field("boolean"),
                "future": _field("hologram"),
            },
            "defaults": {"owner": "me@x.org", "places": {"0": "10.0.0.0/8"}},
        },
    },
    "enums": {"Genre": [{"name": "crime"}, {"name": "comedy"}]},
}


def of(items: Iterable[DesiredObject]) -> dict[str, Any]:
    """The document of a server that takes just these objects, whatever their values are."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for item in items:
        values = {**item.at_creation, **item.fields, "credentials": None}
        variant = found.setdefault(item.kind, {}).setdefault(str(values.get("@type", "")), {})
        variant |= {path.partition("/")[0]: _field("hologram") for path in values}
    made: dict[str, Any] = {"objects": {}, "schemas": {}, "fields": {}, "enums": {}}
    for kind, variants in found.items():
        name = f"x:{kind}"
        made["objects"][name] = {"type": "object"}
        made["fields"] |= {f"{name}{variant}": {"properties": fields} for variant, fields in variants.items()}
        many = [{"name": variant, "schemaName": f"{name}{variant}"} for variant in variants]
        single = {"type": "single", "schemaName": name}
        made["schemas"][name] = single if "" in variants else {"type": "multiple", "variants": many}
    return made


def small() -> Schema:
    """`SMALL`, parsed."""
    return parse(SMALL, "small")
