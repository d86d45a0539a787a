"""What a plane intends to do: data only, no I/O, no terminal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MASK = "********"


class Action(StrEnum):
    """What happens to one object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field's way from ``old`` to ``new``; ``None`` stands for absent.

    ``secret`` values are masked by everything that shows a plan; the values themselves should already be left out.
    """

    path: str
    old: object
    new: object
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One object that is created, updated (``fields`` holds the changed ones only) or deleted."""

    action: Action
    kind: str
    name: str
    fields: tuple[FieldChange, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one plane would do. Falsy when there is nothing to change.

    ``unmanaged`` names foreign objects that are left alone, ``warnings`` what the operator should look at although it
    does not stop the run, ``consequence`` what follows an apply besides the writes ("restart", "reload" or "").
    """

    plane: str
    changes: tuple[Change, ...] = ()
    unmanaged: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    consequence: str = ""

    def __bool__(self) -> bool:
        return bool(self.changes)

    def count(self, action: Action) -> int:
        """How many objects the plan would create, update or delete."""
        return sum(change.action is action for change in self.changes)
