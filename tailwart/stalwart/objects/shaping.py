"""Fields as they are written in Python, in the types of the schema: what `protocol/values.py` compares and encodes.

Sets and lists may be Python's own or the server's (`{"a": True}`, `{"0": …}`), references are names, durations and
sizes may carry a unit, and `{"env": "SECRET_NAME"}` stands for a secret whose value is in `.env`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from tailwart.stalwart.objects.faults import Fault
from tailwart.stalwart.objects.spelling import spelled
from tailwart.stalwart.objects.units import FORMS, amount
from tailwart.stalwart.protocol.values import TYPE, Entries, Ref, Secret
from tailwart.stalwart.schema.model import Field, Schema, Shape, Structure, Type, listed, nearest
from tailwart.stalwart.settings.fingerprints import Fingerprints

ENV = "env"
_VARIABLE = "EnvironmentVariable"


@dataclass(slots=True)
class Shaper:
    """One object's fields; what is wrong with them is added to `faults`.

    `secrets` are the values of `.env` by name, `fingerprints` those written last. `variables` collects the environment
    variables that the server will read.
    """

    schema: Schema
    place: tuple[str, ...]
    secrets: Mapping[str, SecretStr]
    fingerprints: Fingerprints
    faults: list[Fault] = field(default_factory=list)
    variables: set[str] = field(default_factory=set)

    def fields(self, structure: Structure, given: Mapping[str, Any], variant: str = "") -> dict[str, Any]:
        """The values of a whole object; unknown names are kept for the check against the schema."""
        known = fields_of(structure, str(given.get(TYPE) or variant))
        shaped: dict[str, Any] = {}
        for name, value in given.items():
            described = known.get(str(name))
            made = value if described is None else self.value(described.type, value, (str(name),))
            shaped[str(name)] = spelled(structure.name, str(name), made)
        return shaped

    def value(self, type_: Type, value: Any, path: tuple[str, ...]) -> Any:
        """A value in the form of its type; one that has another form is kept for the check against the schema."""
        if value is None:
            return None
        if isinstance(value, Mapping) and set(value) == {ENV}:
            return self._secret(type_, value[ENV], path)
        if type_.secret:
            self._fault(
                path,
                f'a secret does not stand here; write {{"env": "SECRET_…"}}, its value in .env; not {_kind(value)}',
            )
            return Secret("", "")
        shaper = _SHAPERS.get(type_.shape)
        return value if shaper is None else shaper(self, type_, value, path)

    def _secret(self, type_: Type, name: Any, path: tuple[str, ...]) -> Any:
        structure = self.schema.structures.get(type_.of)
        referable = type_.shape is Shape.OBJECT and structure is not None and _VARIABLE in structure.variants
        if not referable and type_.shape is not Shape.STRING:
            self._fault(path, f'{{"env": …}} is for secrets and texts; expected {self.schema.describe(type_)}')
            return None
        self._known(name, path)
        if referable:
            self.variables.add(str(name))
            return {TYPE: _VARIABLE, "variableName": str(name)}
        text = self.secrets[str(name)].get_secret_value() if str(name) in self.secrets else ""
        label = "/".join((*self.place, *path))
        return Secret(label, text, self.fingerprints.matches(label, text))

    def _known(self, name: Any, path: tuple[str, ...]) -> None:
        """The variable reaches the server only from `.env`."""
        if str(name) in self.secrets:
            return
        near = nearest(str(name), self.secrets)
        known = f"; did you mean {near}?" if near else f"; set are {listed(sorted(self.secrets)) or 'none'}"
        if not str(name).startswith("SECRET_"):
            known += "; names of your own begin with SECRET_"
        self._fault(path, f"{name} is not set in .env{known}")

    def set(self, type_: Type, value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, Mapping):
            members: Iterable[Any] = [name for name, present in value.items() if present]
        elif isinstance(value, (list, tuple, set, frozenset)):
            members = value
        else:
            return value
        item = type_.item or Type(Shape.OTHER)
        shaped = [self.value(item, member, (*path, str(member))) for member in members]
        for member in shaped:
            if not isinstance(member, (str, int, Ref)):
                self._fault(path, f"{_kind(member)} in a set; expected {self.schema.describe(type_)}")
                return frozenset()
        return frozenset(shaped)

    def list(self, type_: Type, value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, Mapping) and all(str(name).isdigit() for name in value):
            items: Iterable[Any] = [value[name] for name in sorted(value, key=int)]
        elif isinstance(value, (list, tuple)):
            items = value
        else:
            return value
        item = Type(Shape.OBJECT, of=type_.of)
        return tuple(self.value(item, one, (*path, str(index))) for index, one in enumerate(items))

    def map(self, type_: Type, value: Any, path: tuple[str, ...]) -> Any:
        if not isinstance(value, Mapping):
            return value
        item = type_.item or Type(Shape.OTHER)
        return Entries({str(name): self.value(item, one, (*path, str(name))) for name, one in value.items()})

    def object(self, type_: Type, value: Any, path: tuple[str, ...]) -> Any:
        structure = self.schema.structures.get(type_.of)
        if structure is None or not isinstance(value, Mapping):
            return value
        known = fields_of(structure, str(value.get(TYPE)))
        if value.get(TYPE) == _VARIABLE and (variable := value.get("variableName")) is not None:
            self._known(variable, (*path, "variableName"))
            self.variables.add(str(variable))
        shaped = {
            str(name): self.value(known[str(name)].type, one, (*path, str(name))) if str(name) in known else one
            for name, one in value.items()
        }
        return {name: spelled(structure.name, name, one) for name, one in shaped.items()}

    def reference(self, type_: Type, value: Any, path: tuple[str, ...]) -> Any:
        return Ref(self.schema.referred(type_.of), value) if isinstance(value, str) and value else value

    def number(self, type_: Type, value: Any, path: tuple[str, ...]) -> Any:
        if type_.format not in FORMS or not isinstance(value, str):
            return value
        found = amount(type_.format, value)
        if found is None:
            self._fault(path, f'"{value[:40]}" is not a {type_.format}; expected {self._wanted(type_)}')
            return None
        return found

    def text(self, type_: Type, value: Any, path: tuple[str, ...]) -> Any:
        if not isinstance(value, str):
            return value
        # As the server does it: contents stay as they are, every other text loses blanks around it.
        plain = value if type_.format in ("text", "html") else value.strip()
        return plain.lower() if type_.format == "emailAddress" else plain

    def _wanted(self, type_: Type) -> str:
        return f"{self.schema.describe(type_)}, {FORMS[type_.format]}"

    def _fault(self, path: tuple[str, ...], text: str) -> None:
        self.faults.append(Fault(self.place, text, path))


_SHAPERS = {
    Shape.SET: Shaper.set,
    Shape.LIST: Shaper.list,
    Shape.MAP: Shaper.map,
    Shape.OBJECT: Shaper.object,
    Shape.OBJECT_ID: Shaper.reference,
    Shape.NUMBER: Shaper.number,
    Shape.STRING: Shaper.text,
}


def fields_of(structure: Structure, variant: str) -> Mapping[str, Field]:
    """The fields of one variant; of all where it is not known."""
    if (only := structure.single or structure.variants.get(variant)) is not None:
        return only.fields
    return {name: found for each in structure.variants.values() for name, found in each.fields.items()}


def wire(value: Any) -> Any:
    """A shaped value as the check against the schema takes it: names in the place of ids, no secrets."""
    if isinstance(value, Ref):
        return value.key
    if isinstance(value, Secret):
        return str(value)
    if isinstance(value, frozenset):
        return {str(wire(member)): True for member in value}
    if isinstance(value, tuple):
        return {str(index): wire(item) for index, item in enumerate(value)}
    if isinstance(value, Mapping):
        return {name: wire(one) for name, one in value.items()}
    return value


def _kind(value: Any) -> str:
    return "an object" if isinstance(value, Mapping) else f"a {type(value).__name__}"
