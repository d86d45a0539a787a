"""References by name: declared objects first, then live ones by what tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tailwart.stalwart.objects import keys
from tailwart.stalwart.objects.faults import Fault
from tailwart.stalwart.protocol.values import TYPE, Entries, Ref, canonical
from tailwart.stalwart.schema.model import Schema, listed, nearest


@dataclass(slots=True)
class References:
    """`known` are the objects that are declared, by kind and name; `foreign` names live ones by kind and id, and
    `natural` says by what their own fields make them known.
    """

    schema: Schema
    known: Mapping[tuple[str, str], Ref]
    foreign: Mapping[tuple[str, str], str]
    natural: Mapping[tuple[str, str], str] = field(default_factory=dict)
    _by_name: dict[tuple[str, str], Ref] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for (kind, identifier), name in self.foreign.items():
            for known in (name, self.natural.get((kind, identifier), name)):
                self._by_name.setdefault((kind, known), Ref(kind, name))
        self._by_name |= self.known

    def resolved(self, place: tuple[str, ...], value: Any, faults: list[Fault], path: tuple[str, ...] = ()) -> Any:
        """The value with every reference leading to a known object; what is unknown is added to `faults`."""
        if isinstance(value, Ref):
            return self._one(place, value, faults, path)
        if isinstance(value, Mapping):
            made = {name: self.resolved(place, each, faults, (*path, str(name))) for name, each in value.items()}
            return Entries(made) if isinstance(value, Entries) else made
        if isinstance(value, frozenset):
            return frozenset(self.resolved(place, each, faults, (*path, str(each))) for each in value)
        if isinstance(value, tuple):
            return tuple(self.resolved(place, each, faults, (*path, str(index))) for index, each in enumerate(value))
        return value

    def _one(self, place: tuple[str, ...], ref: Ref, faults: list[Fault], path: tuple[str, ...]) -> Ref:
        for name in (ref.key, str(canonical(ref.key)), ref.key.lower()):
            if (found := self._by_name.get((ref.kind, name))) is not None:
                return found
        known = sorted(name for kind, name in self._by_name if kind == ref.kind)
        near = nearest(ref.key, known)
        hint = f"did you mean {near}?" if near else f"known are {listed(known) or 'none'}"
        told = keys.key_fields(self.schema.kinds[ref.kind]) if ref.kind in self.schema.kinds else ()
        by = f" (by {', '.join(told)})" if told and TYPE not in told else ""
        faults.append(Fault(place, f"there is no {ref.kind} {ref.key}{by}; {hint}", path))
        return ref
