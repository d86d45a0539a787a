"""The schema as typed data: kinds of objects, structures with their variants, fields with their types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, Final

_SHOWN_VALUES = 12


class Shape(StrEnum):
    """The JSON form of a value, under the schema's own names.

    A set is written as ``{"a": true}``, a list of objects as ``{"0": …, "1": …}``. OTHER is a shape that a newer schema
    has and this project does not know: every value passes.
    """

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ENUM = "enum"
    OBJECT = "object"
    OBJECT_ID = "objectId"
    BLOB_ID = "blobId"
    TIME = "utcDateTime"
    SET = "set"
    MAP = "map"
    LIST = "objectList"
    OTHER = ""


class Rule(StrEnum):
    """What is wrong with a document."""

    UNKNOWN_KIND = "unknown kind"
    UNKNOWN_FIELD = "unknown field"
    UNKNOWN_VARIANT = "unknown @type"
    MISSING_VARIANT = "@type is missing"
    REQUIRED = "required"
    TYPE = "wrong type"
    VALUE = "not allowed"
    TOO_FEW = "too few"
    READ_ONLY = "cannot change after creation"
    SERVER_SET = "set by the server"


class Update(StrEnum):
    """Who may write a field, and when."""

    MUTABLE = "mutable"
    IMMUTABLE = "immutable"
    SERVER_SET = "serverSet"


@dataclass(frozen=True, slots=True)
class Type:
    """What a field takes: `of` names the structure, enumeration or kind, `item` and `key` those of sets and maps."""

    shape: Shape
    format: str = ""
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    min_items: int = 0
    of: str = ""
    key: Type | None = None
    item: Type | None = None

    @property
    def secret(self) -> bool:
        """Whether values of this type are never shown."""
        return self.format in ("secret", "secretText")


class _Missing:
    """No default: distinct from a default of None."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a structure. `default` is the server's, or MISSING; `enterprise`: only with that licence."""

    name: str
    type: Type
    update: Update = Update.MUTABLE
    description: str = ""
    default: Any = MISSING
    enterprise: bool = False

    @property
    def required(self) -> bool:
        """Whether a new object must have it.

        The schema has no such word. By the exchanges of both versions: a text or a reference that may not be null and
        that the server neither sets nor fills in.
        """
        demanded = self.type.shape in (Shape.STRING, Shape.OBJECT_ID, Shape.BLOB_ID)
        missing = self.default is MISSING and not self.type.nullable and self.update is not Update.SERVER_SET
        return missing and (demanded or self.type.min_items > 0)

    @property
    def below_minimum(self) -> bool:
        """Whether the server's own default is too small for it."""
        given = isinstance(self.default, (int, float)) and not isinstance(self.default, bool)
        return given and self.type.minimum is not None and self.default < self.type.minimum


@dataclass(frozen=True, slots=True)
class Variant:
    """One form of a structure; `name` is its `@type`, empty where the structure has only one form."""

    name: str
    label: str = ""
    fields: Mapping[str, Field] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Structure:
    """An object's fields, by variant."""

    name: str
    variants: Mapping[str, Variant]

    @property
    def single(self) -> Variant | None:
        """The only form of a structure without variants."""
        return self.variants.get("")

    def field_names(self) -> tuple[str, ...]:
        """The fields of all variants."""
        return tuple(sorted({name for variant in self.variants.values() for name in variant.fields}))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object, without the prefix of its method names: `Domain` for `x:Domain/set`."""

    name: str
    structure: Structure
    description: str = ""
    singleton: bool = False
    enterprise: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """One server's schema. `views` are the server's second names for kinds: `Account/Group` for `Account`."""

    kinds: Mapping[str, Kind]
    structures: Mapping[str, Structure]
    enums: Mapping[str, tuple[str, ...]]
    views: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""

    def referred(self, of: str) -> str:
        """The kind that a reference means: `Account` for `Account/Group`."""
        return self.views.get(of, of)

    def incomplete(self, field: Field) -> bool:
        """Whether an object that the server would fill in is refused by it: a rate of 0 in 0, a secret without text.

        By the exchanges: a rate's own defaults are below their minimum, and a secret's first form demands a value.
        """
        structure = self.structures.get(field.type.of) if field.type.shape is Shape.OBJECT else None
        filled = field.default is not MISSING or field.type.nullable or field.update is Update.SERVER_SET
        if structure is None or filled or not structure.variants:
            return False
        first = next(iter(structure.variants.values()))
        source = "EnvironmentVariable" in structure.variants
        return any(each.below_minimum or (source and each.required) for each in first.fields.values())

    def describe(self, type_: Type) -> str:
        """What a type takes, as a noun phrase: `a whole number from 1 to 65535`."""
        phrase = _PHRASES.get(type_.shape)
        described = phrase(self, type_) if phrase else _FIXED.get(type_.shape, f"a value of type {type_.format}")
        return f"{described} or null" if type_.nullable else described

    def field(self, kind: str, path: str, variant: str = "") -> Field | None:
        """The field at a path (`quotas`, `region/customEndpoint`), in the given variant or any; None when unknown."""
        structure: Structure | None = self.kinds[kind].structure if kind in self.kinds else None
        found: Field | None = None
        for part in path.split("/"):
            if structure is None:
                return None
            own = [structure.variants[variant]] if variant in structure.variants else structure.variants.values()
            found = next((each.fields[part] for each in own if part in each.fields), None)
            if found is None:
                return None
            variant = ""
            structure = self.structures.get(found.type.of)
        return found


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that a mistyped one most likely means; empty when none is near."""
    by_lower = {each.lower(): each for each in known}
    found = get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[found[0]] if found else ""


def listed(values: Iterable[str]) -> str:
    """Allowed values for a message; a long list is cut."""
    found = list(values)
    more = f", … ({len(found)} in all)" if len(found) > _SHOWN_VALUES else ""
    return ", ".join(found[:_SHOWN_VALUES]) + more


_TEXTS = {
    "emailAddress": "an email address",
    "uri": "a URL",
    "ipAddress": "an IP address",
    "ipNetwork": "an IP address or network",
    "socketAddress": "an ADDRESS:PORT",
    "secret": "a secret",
    "secretText": "a secret",
    "html": "HTML",
}
_NUMBERS = {"float": "a number", "size": "a size in bytes", "duration": "a duration in milliseconds"}


def _text(_: Schema, type_: Type) -> str:
    bound = f" of at most {type_.max_length} characters" if type_.max_length else ""
    return _TEXTS.get(type_.format, "a text") + bound


def _number(_: Schema, type_: Type) -> str:
    lowest, highest = type_.minimum, type_.maximum
    words = _NUMBERS.get(type_.format, "a whole number")
    if lowest is not None and highest is not None:
        return f"{words} from {lowest:g} to {highest:g}"
    if lowest is not None:
        return f"{words}, at least {lowest:g}"
    return words if highest is None else f"{words}, at most {highest:g}"


def _object(schema: Schema, type_: Type) -> str:
    structure = schema.structures.get(type_.of)
    if structure is None or structure.single is not None:
        return f"an object ({type_.of})"
    return f"an object ({type_.of}) with @type {listed(structure.variants)}"


def _set(schema: Schema, type_: Type) -> str:
    least = f" with at least {type_.min_items}" * bool(type_.min_items)
    return f"a set{least}, each {schema.describe(type_.item)}" if type_.item else f"a set{least}"


def _map(schema: Schema, type_: Type) -> str:
    if type_.key is None or type_.item is None:
        return "a map"
    return f"a map from {schema.describe(type_.key)} to {schema.describe(type_.item)}"


def _list(schema: Schema, type_: Type) -> str:
    least = f" with at least {type_.min_items}" * bool(type_.min_items)
    return f"a list{least}, each {_object(schema, type_)}"


_FIXED = {
    Shape.BOOLEAN: "true or false",
    Shape.BLOB_ID: "the id of a blob",
    Shape.TIME: "a time in UTC",
}
_PHRASES: Mapping[Shape, Callable[[Schema, Type], str]] = {
    Shape.STRING: _text,
    Shape.NUMBER: _number,
    Shape.ENUM: lambda schema, type_: f"one of {listed(schema.enums.get(type_.of, ()))}",
    Shape.OBJECT: _object,
    Shape.OBJECT_ID: lambda schema, type_: f"the id of a {schema.referred(type_.of)}",
    Shape.SET: _set,
    Shape.MAP: _map,
    Shape.LIST: _list,
}
