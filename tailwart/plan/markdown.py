"""A plan as Markdown, for pull requests, mails and chats: one table, the same text for every plane."""

from __future__ import annotations

import re

from tailwart.plan.model import MASK, Action, Change, FieldChange, Plan

_WORDS = {Action.CREATE: "create", Action.UPDATE: "change", Action.DELETE: "**delete**"}
_ROWS = 400
"""Rows that are shown: a comment on GitHub holds 65,536 characters."""
_VALUE = 120
# Everything that Markdown or HTML obeys, and the marks with which forges call people and other pages.
_OBEYED = re.compile(r"([\\`*_{}\[\]<>()#+!|~@&$-])")


def to_markdown(plan: Plan) -> str:
    """A headline with the counts, a table of the changes, then warnings and what stays unmanaged.

    Names and values are others' text: none of it is markup, a mention or a link.
    """
    lines = [f"### {escaped(plan.plane)}: {_counts(plan)}", ""]
    if plan.changes:
        lines += ["| | what | from | to | why |", "|---|---|---|---|---|"]
        lines += [_row(change) for change in plan.changes[:_ROWS]]
        lines += [""]
    if len(plan.changes) > _ROWS:
        lines += [f"… and {len(plan.changes) - _ROWS} more.", ""]
    if plan.warnings:
        lines += ["**Read before it is applied:**", "", *(f"- {escaped(text)}" for text in plan.warnings), ""]
    if plan.unmanaged:
        lines += ["<details><summary>Unmanaged, stays as it is</summary>", ""]
        lines += [f"- {escaped(name)}" for name in plan.unmanaged[:_ROWS]]
        lines += ["", "</details>", ""]
    return "\n".join(lines).rstrip()


def _counts(plan: Plan) -> str:
    counts = [f"{plan.count(action)} to {action}" for action in Action if plan.count(action)]
    return (", ".join(counts) or "no changes") + (f"; then {plan.post_apply}" if plan.post_apply else "")


def _row(change: Change) -> str:
    olds = [_shown(field, field.old) for field in change.fields if field.old is not None]
    news = [_shown(field, field.new) for field in change.fields if field.new is not None]
    cells = (_WORDS[change.action], escaped(f"{change.kind} {change.name}"), "<br>".join(olds), "<br>".join(news))
    return f"| {' | '.join(cells)} | {escaped(change.why)} |"


def _shown(field: FieldChange, value: object) -> str:
    text = MASK if field.secret else str(value)
    short = text if len(text) <= _VALUE else f"{text[: _VALUE - 21]}…{text[-20:]}"
    return f"{escaped(field.path)}: {escaped(short)}"


def escaped(text: str) -> str:
    """The text as nothing but text, on one line; an address that a forge would link is broken by an empty entity."""
    plain = _OBEYED.sub(r"\\\1", " ".join(text.split()))
    return re.sub(r"(?i)\b(https?|ftp|www)(?=[:.])", r"\1<!-- -->", plain)
