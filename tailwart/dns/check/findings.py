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

    ``remedy`` is the exact record to add or the edit to make; ``paste`` what goes into a form or a file as it is.
    """

    area: str
    subject: str
    state: State
    detail: str = ""
    required: bool = True
    remedy: str = ""
    lesson: int | None = None
    paste: str = ""

    @property
    def fails(self) -> bool:
        """Whether this makes the check fail."""
        return self.required and self.state is State.WRONG


def ok(area: str, subject: str, detail: str = "", *, required: bool = True) -> Finding:
    """Something that is as it should be."""
    return Finding(area, subject, State.OK, detail, required)


def wrong(
    area: str,
    subject: str,
    detail: str,
    *,
    remedy: str,
    required: bool = True,
    lesson: int | None = None,
    paste: str = "",
) -> Finding:
    """Something to put right."""
    return Finding(area, subject, State.WRONG, detail, required, remedy, lesson, paste)


def unknown(area: str, subject: str, detail: str, *, remedy: str = "", required: bool = True) -> Finding:
    """Something that could not be checked."""
    return Finding(area, subject, State.UNKNOWN, detail, required, remedy)


_SIGNS = {State.OK: ("ok", "green"), State.WRONG: ("WRONG", "red"), State.UNKNOWN: ("unknown", "yellow")}


def exit_code(findings: Iterable[Finding]) -> int:
    """0: fine. 1: something required is wrong. 2: nothing is, but something required could not be seen."""
    found = list(findings)
    if any(finding.fails for finding in found):
        return 1
    return 2 if any(finding.required and finding.state is State.UNKNOWN for finding in found) else 0


def render(findings: Iterable[Finding], *, colour: bool = False) -> str:
    """The verdict, then what to do with each remedy, then what could not be looked at, and what is fine."""
    found = list(findings)
    lines = [_verdict(found, colour), ""]
    wrongs = sorted((finding for finding in found if finding.state is State.WRONG), key=lambda each: not each.required)
    groups = (
        ("Put right, or mail is lost or refused:", [each for each in wrongs if each.required]),
        ("Recommended:", [each for each in wrongs if not each.required]),
        ("Could not be looked at:", [each for each in found if each.state is State.UNKNOWN]),
        ("Fine:", [each for each in found if each.state is State.OK]),
    )
    for title, group in groups:
        if group:
            lines += [title, *(line for finding in group for line in _lines(finding, colour)), ""]
    return "\n".join(lines).rstrip()


def _verdict(found: list[Finding], colour: bool) -> str:
    counts = {state: sum(finding.state is state for finding in found) for state in State}
    failing = sum(finding.fails for finding in found)
    code = exit_code(found)
    words, paint = {0: ("FINE", "green"), 1: ("FAILS", "red"), 2: ("NOT KNOWN", "yellow")}[code]
    sentence = {
        0: "mail comes in and goes out as far as names are concerned",
        1: f"{failing} to put right, or mail is lost or refused",
        2: "nothing is wrong in what could be seen, but not all could be seen",
    }[code]
    rest = f"{counts[State.WRONG] - failing} recommended, {counts[State.UNKNOWN]} not seen, {counts[State.OK]} fine"
    return f"{style(words, fg=paint) if colour else words}: {sentence} ({rest})"


def to_json(findings: Iterable[Finding]) -> dict[str, Any]:
    """The findings as a JSON document."""
    found = list(findings)
    return {
        "verdict": {0: "fine", 1: "fails", 2: "not known"}[exit_code(found)],
        "failed": any(finding.fails for finding in found),
        "findings": [
            {
                "area": finding.area,
                "subject": finding.subject,
                "state": finding.state.value,
                "required": finding.required,
                "detail": finding.detail,
                "remedy": finding.remedy,
                "paste": finding.paste,
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
        yield from (f"             {line}" for line in finding.paste.splitlines())
