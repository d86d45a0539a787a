"""The way of the mail as a picture: stations and the hops between them, each with its state. Pure.

It is drawn twice, wide for a desk and tall for a phone. A state is a colour, a sign and a word, and a hop that does not
hold is a broken line: nobody needs to tell red from green.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tailwart.checks.doctor import Outcome
from tailwart.checks.model import Result, Severity, Verdict
from tailwart.environment import Environment

STATES = {
    Verdict.FAILED: "failed",
    Verdict.UNKNOWN: "unknown",
    Verdict.PASSED: "passed",
    Verdict.SKIPPED: "none",
}
WORDS = {"failed": "failed", "unknown": "could not look", "passed": "all well", "none": "not looked at"}
SIGNS = {"failed": "✕", "unknown": "?", "passed": "✓", "none": "–"}

_HIGH, _GAP = 46, 16
_BEHIND = (
    ("stores", "mailbox.stores-reached"),
    ("smarthost", "mailbox.smarthost-reached"),
    ("IPv6", "mailbox.ipv6-egress"),
)
_MOST_LETTERS = 16


@dataclass(frozen=True, slots=True)
class Box:
    """One station of the picture."""

    name: str
    state: str
    x: int
    y: int
    width: int

    @property
    def word(self) -> str:
        """The state in words: colour alone tells nobody who does not see it."""
        return WORDS[self.state]

    @property
    def sign(self) -> str:
        """The state as one sign."""
        return SIGNS[self.state]

    @property
    def short(self) -> str:
        """The name as it fits into the box."""
        return self.name if len(self.name) <= _MOST_LETTERS else f"{self.name[: _MOST_LETTERS - 1]}…"


@dataclass(frozen=True, slots=True)
class Wire:
    """A hop between two stations."""

    state: str
    x1: int
    y1: int
    x2: int
    y2: int


@dataclass(frozen=True, slots=True)
class Picture:
    """One drawing, in the units of its view box."""

    name: str
    width: int
    height: int
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]


@dataclass(frozen=True, slots=True)
class Station:
    """What is drawn: a name, its own state, and that of the hop from here towards the mailbox or from it."""

    name: str
    state: str
    hop: str = "none"


@dataclass(frozen=True, slots=True)
class Way:
    """The stations in the order of a message that comes in."""

    zone: Station
    edges: tuple[Station, ...]
    tailnet: Station
    mailbox: Station
    behind: tuple[Station, ...]

    @property
    def text(self) -> str:
        """The whole way in words."""
        stations = (self.zone, *self.edges, self.tailnet, self.mailbox, *self.behind)
        hops = [f"from {edge.name} to the mailbox: {WORDS[edge.hop]}" for edge in self.edges if edge.hop != "passed"]
        return ", ".join([*(f"{each.name}: {WORDS[each.state]}" for each in stations), *hops])


def way(outcome: Outcome, environment: Environment) -> Way:
    """The stations of this installation, as they were found."""
    edges = []
    for name in [edge.name for edge in environment.edges] or ["no edge"]:
        own = [item for item in of_plane(outcome, "edge") if item.host == name]
        reach = [item for item in own if item.check.id.startswith("edge.reaches")]
        edges.append(Station(name, worst(item for item in own if item not in reach), worst(reach)))
    tailnet = worst(of_plane(outcome, "tailnet"))
    behind = [(name, [item for item in outcome.results if item.check.id == identifier]) for name, identifier in _BEHIND]
    apart = {identifier for _, identifier in _BEHIND}
    own = [item for item in outcome.results if item.check.plane in ("mailbox", "server") and item.check.id not in apart]
    return Way(
        Station("zone", worst(of_plane(outcome, "zone"))),
        tuple(edges),
        Station("tailnet", tailnet, tailnet),
        Station("mailbox", worst(own)),
        tuple(Station(name, worst(found), worst(found)) for name, found in behind),
    )


def wide(stations: Way) -> Picture:
    """From left to right."""
    step = _HIGH + _GAP
    height = 8 + step * max(len(stations.edges), len(stations.behind))
    middle = (height - _HIGH) // 2

    def column(found: Sequence[Station], x: int, width: int) -> list[Box]:
        top = (height - (step * len(found) - _GAP)) // 2
        return [Box(item.name, item.state, x, top + step * number, width) for number, item in enumerate(found)]

    zone, tailnet = column([stations.zone], 2, 122)[0], column([stations.tailnet], 326, 122)[0]
    mailbox = column([stations.mailbox], 488, 122)[0]
    edges, behind = column(stations.edges, 164, 122), column(stations.behind, 650, 122)
    line = middle + _HIGH // 2
    wires = [Wire(tailnet.state, tailnet.x + tailnet.width, line, mailbox.x, line)]
    for box, station in zip(edges, stations.edges, strict=True):
        y = box.y + _HIGH // 2
        wires.append(Wire(zone.state, zone.x + zone.width, line, box.x, y))
        wires.append(Wire(station.hop, box.x + box.width, y, tailnet.x, line))
    for box, station in zip(behind, stations.behind, strict=True):
        wires.append(Wire(station.hop, mailbox.x + mailbox.width, line, box.x, box.y + _HIGH // 2))
    return Picture("wide", 774, height, (zone, *edges, tailnet, mailbox, *behind), tuple(wires))


def tall(stations: Way) -> Picture:
    """From top to bottom, at most two stations side by side, three where they are the last."""
    width, step = 340, _HIGH + 26
    pairs = [stations.edges[start : start + 2] for start in range(0, len(stations.edges), 2)]
    rows = [[stations.zone], *pairs, [stations.tailnet], [stations.mailbox], stations.behind]
    boxes: list[list[Box]] = []
    for number, row in enumerate(rows):
        across = min(140, (width - 8 - 10 * (len(row) - 1)) // len(row))
        left = (width - across * len(row) - 10 * (len(row) - 1)) // 2
        boxes.append(
            [
                Box(item.name, item.state, left + (across + 10) * place, 2 + step * number, across)
                for place, item in enumerate(row)
            ]
        )
    zone, tailnet, mailbox = boxes[0][0], boxes[-3][0], boxes[-2][0]
    wires = [_down(tailnet.state, tailnet, mailbox)]
    edges = [box for row in boxes[1:-3] for box in row]
    for box, station in zip(edges, stations.edges, strict=True):
        wires += [_down(zone.state, zone, box), _down(station.hop, box, tailnet)]
    wires += [_down(station.hop, mailbox, box) for box, station in zip(boxes[-1], stations.behind, strict=True)]
    return Picture("tall", width, 4 + step * len(rows) - 26, tuple(box for row in boxes for box in row), tuple(wires))


def _down(state: str, upper: Box, lower: Box) -> Wire:
    return Wire(state, upper.x + upper.width // 2, upper.y + _HIGH, lower.x + lower.width // 2, lower.y)


def of_plane(outcome: Outcome, plane: str) -> list[Result]:
    """The results of one plane."""
    return [item for item in outcome.results if item.check.plane == plane]


def worst(found: Iterable[Result]) -> str:
    """The state of several results: the worst of those that are required."""
    verdicts = {item.verdict for item in found if item.check.severity is Severity.REQUIRED}
    return next((STATES[name] for name in STATES if name in verdicts), "none")
