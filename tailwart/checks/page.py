"""The status page: one file of HTML without scripts and without a request to anywhere. Pure.

Everything that others wrote is escaped by the template's own rules; the page's policy (CSP) forbids all but its styles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tailwart.checks.doctor import PLANES, Age, Outcome
from tailwart.checks.history import Look
from tailwart.checks.model import Result, Severity, Verdict
from tailwart.checks.terminal import verdict
from tailwart.environment import Environment
from tailwart.hosts import templates

_STATES = {
    Verdict.FAILED: "failed",
    Verdict.UNKNOWN: "unknown",
    Verdict.PASSED: "passed",
    Verdict.SKIPPED: "none",
}
_WORDS = {"failed": "failed", "unknown": "could not look", "passed": "all well", "none": "not looked at"}
_ROW, _TALLEST = 62, 40


@dataclass(frozen=True, slots=True)
class Box:
    """One station of the picture."""

    name: str
    state: str
    x: int
    y: int
    width: int = 150

    @property
    def word(self) -> str:
        """The state in words: colour alone tells nobody who does not see it."""
        return _WORDS[self.state]


@dataclass(frozen=True, slots=True)
class Wire:
    """A way between two stations."""

    state: str
    x1: int
    y1: int
    x2: int
    y2: int


def render(outcome: Outcome, environment: Environment, looks: Sequence[Look] = ()) -> str:
    """The page of one look, with the bars of earlier ones."""
    boxes, wires, height = picture(outcome, environment)
    return templates.page(
        "status/page.html.j2",
        domain=environment.domain,
        verdict=verdict(outcome),
        state="failed" if outcome.failed else "unknown" if outcome.blind else "passed",
        began=f"{outcome.began:%Y-%m-%dT%H:%M:%SZ}",
        shown=f"{outcome.began:%Y-%m-%d %H:%M} UTC",
        boxes=boxes,
        wires=wires,
        height=height,
        way=", ".join(f"{box.name}: {box.word}" for box in boxes),
        wrong=[_shown(item) for item in _ordered(outcome.of(Verdict.FAILED, Verdict.UNKNOWN))],
        planes=list(_planes(outcome)),
        history=[_bar(look) for look in looks],
        history_text=_history(looks),
        ages=[_age(age, outcome) for age in outcome.ages],
    )


def picture(outcome: Outcome, environment: Environment) -> tuple[list[Box], list[Wire], int]:
    """Stations and ways of the mail: the zone, every edge, the tailnet between, the mailbox, its stores."""
    names = [edge.name for edge in environment.edges] or ["no edge"]
    height = 20 + _ROW * max(len(names), 3)
    middle = (height - 46) // 2
    boxes = [Box("zone", _worst(_plane(outcome, "zone")), 10, middle, 110)]
    wires = []
    tunnel = _plane(outcome, "tailnet")
    mailbox = Box("mailbox", _worst(_own(outcome)), 400, middle, 120)
    for number, name in enumerate(names):
        own = [item for item in _plane(outcome, "edge") if item.host == name]
        reach = [item for item in own if item.check.id.startswith("edge.reaches")]
        box = Box(name, _worst(item for item in own if item not in reach), 180, 10 + _ROW * number)
        boxes.append(box)
        wires.append(Wire(boxes[0].state, 120, middle + 23, box.x, box.y + 23))
        wires.append(Wire(_worst([*reach, *tunnel]), box.x + box.width, box.y + 23, mailbox.x, middle + 23))
    boxes.append(mailbox)
    for number, (name, identifier) in enumerate(_BEHIND):
        state = _worst(item for item in outcome.results if item.check.id == identifier)
        box = Box(name, state, 570, middle - _ROW + _ROW * number, 140)
        boxes.append(box)
        wires.append(Wire(state, mailbox.x + mailbox.width, middle + 23, box.x, box.y + 23))
    return boxes, wires, height


_BEHIND = (
    ("stores", "mailbox.stores-reached"),
    ("smarthost", "mailbox.smarthost-reached"),
    ("IPv6", "mailbox.ipv6-egress"),
)


def _own(outcome: Outcome) -> list[Result]:
    behind = {identifier for _, identifier in _BEHIND}
    return [
        item for item in outcome.results if item.check.plane in ("mailbox", "server") and item.check.id not in behind
    ]


def _plane(outcome: Outcome, plane: str) -> list[Result]:
    return [item for item in outcome.results if item.check.plane == plane]


def _worst(found: Iterable[Result]) -> str:
    verdicts = {item.verdict for item in found if item.check.severity is Severity.REQUIRED}
    return next((_STATES[name] for name in _STATES if name in verdicts), "none")


def _planes(outcome: Outcome) -> Iterator[dict[str, Any]]:
    for plane in PLANES:
        if found := _plane(outcome, plane):
            counts = [(name, sum(item.verdict is name for item in found)) for name in _STATES]
            state = _worst(found)
            yield {
                "name": plane,
                "state": state,
                "open": state != "passed",
                "counts": ", ".join(f"{count} {name.value}" for name, count in counts if count),
                "results": [_shown(item) for item in found],
            }


def _shown(item: Result) -> dict[str, Any]:
    return {
        "id": item.check.id,
        "title": item.check.title,
        "state": _STATES[item.verdict],
        "word": item.verdict.value,
        "where": f" [{item.host}]" if item.check.plane == "edge" else "",
        "advice": "" if item.check.severity is Severity.REQUIRED else " (recommended)",
        "seen": item.seen,
        "cause": item.check.why if item.verdict is Verdict.FAILED else "",
        "remedy": item.remedy,
        "note": item.seen[0] if item.verdict is Verdict.SKIPPED and item.seen else "",
    }


def _age(age: Age, outcome: Outcome) -> dict[str, Any]:
    return {"name": age.name, "until": f"{age.until:%Y-%m-%d %H:%M} UTC", "days": (age.until - outcome.began).days}


def _ordered(found: list[Result]) -> list[Result]:
    return sorted(found, key=lambda item: not item.fails)


def _bar(look: Look) -> dict[str, Any]:
    state = "failed" if look.failed else "unknown" if look.blind else "passed"
    total = look.passed + len(look.others)
    return {
        "state": state,
        # A look at which everything is well is the tallest; a bad one is never invisible.
        "height": max(6, round(_TALLEST * look.passed / total)) if total else 6,
        "text": f"{look.began:%Y-%m-%d %H:%M} UTC: {look.passed} passed, {len(look.others)} not",
    }


def _history(looks: Sequence[Look]) -> str:
    bad = sum(look.failed for look in looks)
    return f"{len(looks)} looks, {bad} of them with a failure; the newest is on the right"
