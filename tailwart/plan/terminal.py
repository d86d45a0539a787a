"""A plan as lines for the terminal: the same form for every plane."""

from __future__ import annotations

import json

from tailwart.plan.model import MASK, Action, Change, FieldChange, Plan
from tailwart.printing import style

_SIGNS = {Action.CREATE: ("+", "green"), Action.UPDATE: ("~", "yellow"), Action.DELETE: ("-", "red")}


def render(plan: Plan, *, colour: bool = False) -> str:
    """The plan, one object per paragraph, `old → new` per field; at the end a count and the post-apply action.

    Lines begin with `+` (create), `~` (update), `-` (delete), `!` (warning) or `unmanaged:`.
    """
    lines = [line for change in plan.changes for line in _change(change, colour)]
    lines += [_paint(f"! {_inline(warning)}", "yellow", colour) for warning in plan.warnings]
    lines += [f"  unmanaged: {_inline(name)}" for name in plan.unmanaged]
    lines.append(_summary(plan))
    return "\n".join(lines)


def _summary(plan: Plan) -> str:
    if not plan:
        return f"{plan.plane}: no changes"
    counts = ", ".join(f"{plan.count(action)} to {action}" for action in Action if plan.count(action))
    return f"{plan.plane}: {counts}" + (f"; then {plan.post_apply}" if plan.post_apply else "")


def _change(change: Change, colour: bool) -> list[str]:
    sign, paint = _SIGNS[change.action]
    why = f"  ({_inline(change.why)})" if change.why else ""
    return [_paint(f"{sign} {change.kind} {_inline(change.name)}", paint, colour) + why] + [
        f"    {_field(field, change.action)}" for field in change.fields
    ]


def _field(field: FieldChange, action: Action) -> str:
    old, new = (_value(value, field.secret) for value in (field.old, field.new))
    if action is Action.CREATE:
        return f"{field.path}: {new}"
    if action is Action.DELETE:
        return f"{field.path}: {old}"
    return f"{field.path}: {old} → {new}"


def _value(value: object, secret: bool) -> str:
    if value is None:
        return "(none)"
    if secret:
        return MASK
    if isinstance(value, str):
        return _inline(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _inline(text: str) -> str:
    """The text on one line: names and values are often others' text, and must not look like a line of the plan."""
    return text.replace("\n", "\\n")


def _paint(text: str, colour_name: str, colour: bool) -> str:
    return style(text, fg=colour_name) if colour else text
