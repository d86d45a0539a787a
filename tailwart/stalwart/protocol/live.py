"""The server's objects as they are, with the names by which the desired state knows them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType

from tailwart.network import BY_PORT
from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.protocol.kinds import KINDS, Object
from tailwart.stalwart.protocol.values import Ref

Labels = Mapping[tuple[str, str], str]
"""(kind, id) → the name that the declaration gives an object; it comes before the name that its fields give."""


class Live:
    """One reading of the server. Kinds outside `KINDS` (tasks, certificates) have objects, but only those of `labels`
    have names. `totals` counts the objects of those kinds of which only the declared ones were read.
    """

    def __init__(
        self,
        objects: Mapping[str, tuple[Object, ...]],
        labels: Labels = MappingProxyType({}),
        totals: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.objects = objects
        self.labels = labels
        self.totals = totals

    def completed(self, other: Live) -> Live:
        """This reading with the kinds that another one has read whole."""
        totals = {kind: total for kind, total in self.totals.items() if kind not in other.objects}
        return Live({**self.objects, **other.objects}, self.labels, totals)

    def labelled(self, labels: Labels) -> Live:
        """The same reading under these names."""
        return Live(self.objects, labels, self.totals)

    def of(self, kind: str) -> tuple[Object, ...]:
        """The objects of one kind; empty when it was not read."""
        return self.objects.get(kind, ())

    @cached_property
    def names(self) -> dict[tuple[str, str], str]:
        """(kind, id) → the name under which people know the object."""
        return {
            (kind, str(item["id"])): self.key(kind, item)
            for kind, found in self.objects.items()
            for item in found
            if kind in KINDS or (kind, str(item["id"])) in self.labels
        }

    @cached_property
    def _first(self) -> dict[Ref, Object]:
        found: dict[Ref, Object] = {}
        for kind, items in self.objects.items():
            labelled = [item for item in items if (kind, str(item["id"])) in self.labels]
            rest = sorted(items, key=_project_names_first) if kind in KINDS else ()
            for item in (*labelled, *rest):
                found.setdefault(Ref(kind, self.key(kind, item)), item)
        return found

    def get(self, ref: Ref) -> Object | None:
        """The object of that name; of several, the one with a name that this project gives."""
        return self._first.get(ref)

    def resolve(self, ref: Ref) -> str | None:
        """The id of an object, None when it does not exist."""
        found = self.get(ref)
        return str(found["id"]) if found else None

    def key(self, kind: str, item: Object) -> str:
        """An object's natural key: it stays the same when the object is created again."""
        label = self.labels.get((kind, str(item["id"])))
        if label is not None:
            return label
        return SINGLETON if KINDS[kind].singleton else KINDS[kind].key(item, self._domains)

    @cached_property
    def _domains(self) -> dict[str, str]:
        return {str(item["id"]): str(item.get("name", "?")) for item in self.of("Domain")}


def _project_names_first(item: Object) -> int:
    """Of two listeners on one port, the one with a name that this project gives is kept."""
    return 0 if item.get("name") in _LISTENER_NAMES else 1


_LISTENER_NAMES = frozenset(service.name for service in BY_PORT.values())
