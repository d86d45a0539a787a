"""What a plane intends to do: data only, no I/O, no terminal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MASK = "********"


class Action(StrEnum):
    """What a change does to one object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field from ``old`` (current) to ``new`` (desired); ``None`` stands for absent.

    ``secret`` values are masked by everything that shows a plan; a plane should not put the values in at all.
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

    ``unmanaged`` names objects that are not declared and stay as they are, ``warnings`` what the operator should check
    although it does not stop the run, ``post_apply`` the action after the writes ("restart", "reload" or "").

        Plan("dns", (Change(Action.DELETE, "TXT", "old.example.org"),), unmanaged=("A www.example.org",))
    """

    plane: str
    changes: tuple[Change, ...] = ()
    unmanaged: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    post_apply: str = ""

    def __bool__(self) -> bool:
        return bool(self.changes)

    def count(self, action: Action) -> int:
        """How many objects the plan would create, update or delete."""
        return sum(change.action is action for change in self.changes)
