"""A plan as a JSON document, for scripts and for `--json`."""

from __future__ import annotations

from typing import Any

from tailwart.plan.model import MASK, FieldChange, Plan


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as plain dictionaries and lists; secrets masked."""
    return {
        "plane": plan.plane,
        "changes": [
            {
                "action": change.action.value,
                "kind": change.kind,
                "name": change.name,
                "why": change.why,
                "fields": [_field(field) for field in change.fields],
            }
            for change in plan.changes
        ],
        "unmanaged": list(plan.unmanaged),
        "warnings": list(plan.warnings),
        "post_apply": plan.post_apply,
    }


def _field(field: FieldChange) -> dict[str, Any]:
    if field.secret:
        return {"path": field.path, "old": _masked(field.old), "new": _masked(field.new)}
    return {"path": field.path, "old": field.old, "new": field.new}


def _masked(value: object) -> str | None:
    return None if value is None else MASK
