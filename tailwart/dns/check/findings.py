"""The results of a check: what was checked, its state, and the edit that corrects it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tailwart.printing import style


class State(StrEnum):
    """The state of one thing. `UNKNOWN`: it could not be checked, which is shown but fails nothing."""

    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked. ``required``: mail is lost or refused without it; otherwise it is recommended.

    ``remedy`` is the exact record to add or the edit to make.
    """

    area: str
    subject: str
    state: State
    detail: str = ""
    required: bool = True
    remedy: str = ""
    lesson: int | None = None

    @property
    def fails(self) -> bool:
        """Whether this makes the check fail."""
        return self.required and self.state is State.WRONG


def ok(area: str, subject: str, detail: str = "", *, required: bool = True) -> Finding:
    """Something that is as it should be."""
    return Finding(area, subject, State.OK, detail, required)


def wrong(
    area: str, subject: str, detail: str, *, remedy: str, required: bool = True, lesson: int | None = None
) -> Finding:
    """Something to put right."""
    return Finding(area, subject, State.WRONG, detail, required, remedy, lesson)


def unknown(area: str, subject: str, detail: str, *, remedy: str = "", required: bool = True) -> Finding:
    """Something that could not be checked."""
    return Finding(area, subject, State.UNKNOWN, detail, required, remedy)


_SIGNS = {State.OK: ("ok", "green"), State.WRONG: ("WRONG", "red"), State.UNKNOWN: ("unknown", "yellow")}


def render(findings: Iterable[Finding], *, colour: bool = False) -> str:
    """Required first, then recommended, each with its remedy; a count at the end."""
    found = list(findings)
    lines: list[str] = []
    for title, required in (("Required", True), ("Recommended", False)):
        group = [finding for finding in found if finding.required is required]
        if group:
            lines.append(f"{title}:")
            lines += [line for finding in group for line in _lines(finding, colour)]
    counts = {state: sum(finding.state is state for finding in found) for state in State}
    failing = sum(finding.fails for finding in found)
    bad = f"{counts[State.WRONG]} wrong ({failing} of them required)"
    lines.append(f"{counts[State.OK]} ok, {bad}, {counts[State.UNKNOWN]} unknown")
    return "\n".join(lines)


def to_json(findings: Iterable[Finding]) -> dict[str, Any]:
    """The findings as a JSON document."""
    found = list(findings)
    return {
        "failed": any(finding.fails for finding in found),
        "findings": [
            {
                "area": finding.area,
                "subject": finding.subject,
                "state": finding.state.value,
                "required": finding.required,
                "detail": finding.detail,
                "remedy": finding.remedy,
                "lesson": finding.lesson,
            }
            for finding in found
        ],
    }


def _lines(finding: Finding, colour: bool) -> Iterable[str]:
    name, paint = _SIGNS[finding.state]
    mark = style(f"{name:>7}", fg=paint) if colour else f"{name:>7}"
    detail = f": {finding.detail}" if finding.detail else ""
    lesson = f" (lesson {finding.lesson})" if finding.lesson else ""
    yield f"{mark}  {finding.area}  {finding.subject}{detail}{lesson}"
    if finding.remedy and finding.state is not State.OK:
        yield f"         → {finding.remedy}"
