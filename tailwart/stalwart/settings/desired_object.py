"""One object as it should be on the server: what the plan compares with the live one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import SecretStr

from tailwart.stalwart.protocol.kinds import KINDS
from tailwart.stalwart.protocol.values import Ref


@dataclass(frozen=True, slots=True)
class DesiredObject:
    """One object as it should be on the server.

    `fields` are managed: compared and repaired, by property or property path (`quotas/maxDiskQuota`). `at_creation` is
    sent once; later changes to it are left alone. `late` fields are written after the restart (see `Server.apply`).
    `masked` fields are never shown. `password` is compared by fingerprint: the server returns only `****`;
    with `password_once`, it is sent at creation and never again. `exact`
    fields come from `stalwart_objects`: empty ones are sent as well, and of objects only what differs. An object that
    is `declared` there alone may be of any kind.

    Raises ValueError for another kind that is not in `KINDS`: it would never be read, and so be created on every run.
    """

    kind: str
    key: str
    fields: Mapping[str, Any]
    at_creation: Mapping[str, Any] = field(default_factory=dict)
    late: frozenset[str] = frozenset()
    masked: frozenset[str] = frozenset()
    password: SecretStr | None = None
    password_once: bool = False
    why: str = ""
    exact: frozenset[str] = frozenset()
    declared: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS and not self.declared:
            raise ValueError(f"{self.kind} is not in KINDS (protocol/kinds.py)")

    @property
    def ref(self) -> Ref:
        return Ref(self.kind, self.key)


def combined(items: Iterable[DesiredObject]) -> tuple[DesiredObject, ...]:
    """The same objects with those of one name merged, in the place of the first: each owner names its own fields.

    Raises ValueError when two of them name the same field: one would undo the other.
    """
    found: dict[Ref, DesiredObject] = {}
    for item in items:
        held = found.get(item.ref)
        if held is None:
            found[item.ref] = item
            continue
        if twice := held.fields.keys() & item.fields.keys():
            raise ValueError(f"{item.kind} {item.key}: {', '.join(sorted(twice))} is declared twice")
        found[item.ref] = replace(
            held,
            fields={**held.fields, **item.fields},
            at_creation={**item.at_creation, **held.at_creation},
            late=held.late | item.late,
            masked=held.masked | item.masked,
        )
    return tuple(found.values())
