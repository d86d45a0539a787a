"""What a server would refuse in a document, found before anything is sent.

The rules are those of the recorded exchanges: a new object needs its required fields and, where its kind has variants,
an `@type`; an update is a patch by path, which may name another `@type` and is then a whole new object; nested objects
with variants are always replaced as a whole, nested objects without are merged into what is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tailwart.stalwart.schema.model import Field, Rule, Schema, Shape, Structure, Type, Update, Variant, listed, nearest
from tailwart.stalwart.schema.scalars import broken, given

TYPE = "@type"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that the server would refuse. `given` is what was found: a value's type, never a secret's text.

    `nearest` is the known name that was probably meant, or empty.
    """

    kind: str
    path: str
    rule: Rule
    expected: str = ""
    given: str = ""
    nearest: str = ""

    def message(self) -> str:
        """A sentence without the object's name: `field port: not allowed: 70000; expected a whole number …`."""
        place = f"field {self.path}: " if self.path else ""
        seen = f": {self.given}" if self.given else ""
        wanted = f"; expected {self.expected}" if self.expected else ""
        meant = f"; did you mean {self.nearest}?" if self.nearest else ""
        return f"{place}{self.rule.value}{seen}{wanted}{meant}"


def problems(
    schema: Schema, kind: str, document: Mapping[str, Any], *, creating: bool, live: Mapping[str, Any] | None = None
) -> list[Problem]:
    """Everything that is wrong with a document that creates an object, or with a patch that updates one.

    problems(schema, "NetworkListener", {"name": "x", "bind": {"[::]:25": True}, "protocol": "gopher"}, creating=True)
    problems(schema, "Account", {"quotas/maxDiskQuota": 1024}, creating=False, live=account)

    The values are those of the wire: sets as ``{"a": true}``, references as ids (any text passes). `live` is the object
    before an update; without it, fields of every variant are accepted.
    """
    found = schema.kinds.get(kind)
    if found is None:
        return [Problem(kind, "", Rule.UNKNOWN_KIND, given=kind, nearest=nearest(kind, schema.kinds))]
    return list(_Check(schema, kind, creating).root(found.structure, document, live or {}))


# The last one of a name counts.
_LENIENT = (Update.SERVER_SET, Update.IMMUTABLE, Update.MUTABLE)


@dataclass(frozen=True, slots=True)
class _Check:
    schema: Schema
    kind: str
    creating: bool

    def root(self, structure: Structure, document: Mapping[str, Any], live: Mapping[str, Any]) -> Iterator[Problem]:
        if self.creating:
            yield from self.whole(structure, document, "", {})
            return
        named = document.get(TYPE)
        if structure.single is None and named is not None and named != live.get(TYPE):
            # Another variant: the server begins a new object, and takes immutable fields again.
            yield from replace(self, creating=True).whole(structure, document, "", {})
            return
        for path, value in document.items():
            if path != TYPE:
                yield from self.patch(structure, path.split("/"), value, "", live)

    def whole(self, structure: Structure, document: Any, at: str, live: Mapping[str, Any]) -> Iterator[Problem]:
        """An object that replaces, or is merged into, what is there."""
        if not isinstance(document, Mapping):
            yield self.wrong_type(at, Type(Shape.OBJECT, of=structure.name), document)
            return
        variant = structure.single
        if variant is None:
            named = document.get(TYPE)
            if not isinstance(named, str) or named not in structure.variants:
                yield self.unknown_variant(structure, at, named)
                return
            variant = structure.variants[named]
            live = {}
        for name, value in document.items():
            if name == TYPE:
                continue
            path = f"{at}/{name}" if at else name
            if (field := variant.fields.get(name)) is None:
                yield self.unknown_field(variant.fields, path, name)
            elif (refused := self.writable(field, path)) is not None:
                yield refused
            else:
                yield from self.value(field.type, value, path, live.get(name))
        yield from self.missing(variant, document, at, live)

    def missing(
        self, variant: Variant, document: Mapping[str, Any], at: str, live: Mapping[str, Any]
    ) -> Iterator[Problem]:
        for field in variant.fields.values():
            held = field.name in document or live.get(field.name) is not None
            if not held and (field.required or self.schema.incomplete(field)):
                path = f"{at}/{field.name}" if at else field.name
                yield Problem(self.kind, path, Rule.REQUIRED, self.schema.describe(field.type))

    def patch(
        self, structure: Structure, parts: list[str], value: Any, at: str, live: Mapping[str, Any]
    ) -> Iterator[Problem]:
        """One entry of an update: the field at a path."""
        name, *rest = parts
        path = f"{at}/{name}" if at else name
        fields = self.fields(structure, live)
        field = fields.get(name)
        if field is None:
            yield self.unknown_field(fields, path, name)
        elif (refused := self.writable(field, path)) is not None:
            yield refused
        elif rest:
            yield from self.inside(field.type, rest, value, path, live.get(name))
        else:
            yield from self.value(field.type, value, path, live.get(name))

    def inside(self, type_: Type, parts: list[str], value: Any, at: str, live: Any) -> Iterator[Problem]:
        """A path that goes on below a field: into an object, or to one member of a set, map or list."""
        held = live if isinstance(live, Mapping) else {}
        structure = self.schema.structures.get(type_.of)
        if type_.shape is Shape.OBJECT and structure is not None:
            yield from self.patch(structure, parts, value, at, held)
            return
        name, *rest = parts
        path = f"{at}/{name}"
        if type_.shape not in (Shape.SET, Shape.MAP, Shape.LIST):
            if type_.shape is not Shape.OTHER:
                yield self.unknown_field({}, path, name)
            return
        if type_.shape is Shape.SET:
            member, inner = type_.item, None
        elif type_.shape is Shape.MAP:
            member, inner = type_.key, type_.item
        else:
            member, inner = None, Type(Shape.OBJECT, of=type_.of)
        if member is not None:
            yield from self.value(member, name, path, None)
        if rest and inner is not None:
            yield from self.inside(inner, rest, value, path, held.get(name))
        elif value is not None and inner is not None:
            yield from self.value(inner, value, path, held.get(name))

    def value(self, type_: Type, value: Any, path: str, live: Any) -> Iterator[Problem]:
        """A value against a type."""
        if type_.shape is Shape.OTHER:
            return
        if value is None:
            if not type_.nullable:
                yield self.wrong_type(path, type_, None)
            return
        if type_.shape in (Shape.SET, Shape.MAP, Shape.LIST):
            yield from self.members(type_, value, path)
        elif type_.shape is Shape.OBJECT:
            structure = self.schema.structures.get(type_.of)
            if structure is not None:
                yield from self.whole(structure, value, path, live if isinstance(live, Mapping) else {})
        elif type_.shape is Shape.ENUM:
            yield from self.enumerated(type_, value, path)
        elif (rule := broken(type_, value)) is not None:
            shown = given(value) if rule is Rule.TYPE or type_.secret else str(value)
            yield Problem(self.kind, path, rule, self.schema.describe(type_), shown)

    def members(self, type_: Type, value: Any, path: str) -> Iterator[Problem]:
        if not isinstance(value, Mapping):
            yield self.wrong_type(path, type_, value)
            return
        if len(value) < type_.min_items:
            yield Problem(self.kind, path, Rule.TOO_FEW, self.schema.describe(type_), str(len(value)))
        if type_.shape is Shape.LIST:
            for index, item in value.items():
                yield from self.value(Type(Shape.OBJECT, of=type_.of), item, f"{path}/{index}", None)
            return
        member = type_.item if type_.shape is Shape.SET else type_.key
        for name, item in value.items():
            if member is not None:
                yield from self.value(member, name, f"{path}/{name}", None)
            if type_.shape is Shape.SET and item is not True:
                yield self.wrong_type(f"{path}/{name}", Type(Shape.BOOLEAN), item)
            elif type_.shape is Shape.MAP and type_.item is not None:
                yield from self.value(type_.item, item, f"{path}/{name}", None)

    def enumerated(self, type_: Type, value: Any, path: str) -> Iterator[Problem]:
        allowed = self.schema.enums.get(type_.of)
        if allowed is None or value in allowed:
            return
        if not isinstance(value, str):
            yield self.wrong_type(path, type_, value)
            return
        yield Problem(self.kind, path, Rule.VALUE, self.schema.describe(type_), value, nearest(value, allowed))

    def fields(self, structure: Structure, live: Mapping[str, Any]) -> Mapping[str, Field]:
        """The fields of the variant that is there; where that is not known, of all, each as the most lenient has it."""
        known = structure.single or structure.variants.get(str(live.get(TYPE)))
        if known is not None:
            return known.fields
        found = [field for variant in structure.variants.values() for field in variant.fields.values()]
        return {field.name: field for field in sorted(found, key=lambda field: _LENIENT.index(field.update))}

    def writable(self, field: Field, path: str) -> Problem | None:
        if field.update is Update.SERVER_SET:
            return Problem(self.kind, path, Rule.SERVER_SET)
        if field.update is Update.IMMUTABLE and not self.creating:
            return Problem(self.kind, path, Rule.READ_ONLY)
        return None

    def unknown_field(self, known: Mapping[str, Field], path: str, name: str) -> Problem:
        return Problem(self.kind, path, Rule.UNKNOWN_FIELD, listed(known), nearest=nearest(name, known))

    def unknown_variant(self, structure: Structure, at: str, named: Any) -> Problem:
        path = f"{at}/{TYPE}" if at else TYPE
        if named is None:
            return Problem(self.kind, path, Rule.MISSING_VARIANT, f"one of {listed(structure.variants)}")
        return Problem(
            self.kind,
            path,
            Rule.UNKNOWN_VARIANT,
            f"one of {listed(structure.variants)}",
            named if isinstance(named, str) else given(named),
            nearest(named, structure.variants) if isinstance(named, str) else "",
        )

    def wrong_type(self, path: str, type_: Type, value: Any) -> Problem:
        return Problem(self.kind, path, Rule.TYPE, self.schema.describe(type_), given(value))
