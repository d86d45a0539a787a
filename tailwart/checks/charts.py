"""Graphs of the numbers that were kept from run to run, as paths of SVG. Pure.

Every graph is said in words as well, and its numbers stand in a table: who cannot see it loses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from tailwart.checks.history import Look
from tailwart.checks.measures import QUEUE

WIDTH, HEIGHT = 340, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 6, 8, 22
_LEAST = 60.0  # seconds between two runs: a rate over less says nothing
_ROWS = 20  # of the table: the newest


@dataclass(frozen=True, slots=True)
class Point:
    """A value at a time; ``value`` None where it is not known, which interrupts the line."""

    at: datetime
    value: float | None


def levels(looks: Sequence[Look], name: str) -> list[Point]:
    """A number as it was at every run."""
    return [Point(look.began, look.values.get(name)) for look in looks]


def rates(looks: Sequence[Look], name: str) -> list[Point]:
    """How many an hour a counter counted, from each run to the next. A smaller count is that of a restarted server."""
    return list(_rates([look for look in looks if name in look.values], name))


def _rates(looks: Sequence[Look], name: str) -> Iterator[Point]:
    for before, after in pairwise(looks):
        seconds = (after.began - before.began).total_seconds()
        if seconds < _LEAST:
            continue
        old, new = before.values[name], after.values[name]
        yield Point(after.began, (new - old if new >= old else new) * 3600 / seconds)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a graph: its name, the path, its points in words, and which stroke it has (0 is solid)."""

    name: str
    path: str
    dots: tuple[tuple[float, float], ...]
    stroke: int


@dataclass(frozen=True, slots=True)
class Chart:
    """One graph. ``ticks`` are (height, label) of the value axis; ``rows`` the newest values, the newest first."""

    name: str
    title: str
    text: str
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, str], ...]
    begins: str
    ends: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


_HOURLY = (
    ("in", "Mail in, messages an hour", (("received", "from outside"), ("stored", "into mailboxes"))),
    ("out", "Mail out, messages an hour", (("submitted", "submitted"), ("delivered", "delivered"))),
    ("trouble", "Trouble, messages an hour", (("deferred", "put off"), ("bounced", "returned"))),
)


def charts(looks: Sequence[Look]) -> list[Chart]:
    """The graphs of these runs, the oldest first; what has fewer than two points is left out."""
    found = [_chart("waiting", "Messages that wait", [("waiting", levels(looks, QUEUE))])]
    found += [
        _chart(name, title, [(label, rates(looks, key)) for key, label in lines]) for name, title, lines in _HOURLY
    ]
    return [chart for chart in found if chart is not None]


def _chart(name: str, title: str, series: Sequence[tuple[str, list[Point]]]) -> Chart | None:
    known = [point for _, points in series for point in points if point.value is not None]
    if len({point.at for point in known}) < 2:
        return None
    begins, ends = min(point.at for point in known), max(point.at for point in known)
    top = _round_up(max(point.value or 0 for point in known))

    def place(point: Point) -> tuple[float, float]:
        part = (point.at - begins) / (ends - begins)
        x = _LEFT + part * (WIDTH - _LEFT - _RIGHT)
        return round(x, 1), round(_height(point.value or 0, top), 1)

    lines = tuple(
        Line(
            label,
            _path(points, place),
            tuple(place(point) for point in points if point.value is not None),
            number,
        )
        for number, (label, points) in enumerate(series)
    )
    return Chart(
        name,
        title,
        f"{title}, {_when(begins)} to {_when(ends)}. {' '.join(_in_words(series))}",
        lines,
        tuple((round(_height(value, top), 1), _number(value)) for value in (0, top / 2, top)),
        _day(begins),
        _day(ends),
        tuple(label for label, _ in series),
        tuple(_rows(series)),
    )


def _path(points: Sequence[Point], place: Callable[[Point], tuple[float, float]]) -> str:
    parts, pen = [], "M"
    for point in points:
        if point.value is None:
            pen = "M"
            continue
        x, y = place(point)
        parts.append(f"{pen}{x} {y}")
        pen = "L"
    return " ".join(parts)


def _height(value: float, top: float) -> float:
    return HEIGHT - _BOTTOM - value / top * (HEIGHT - _TOP - _BOTTOM)


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, …, above everything that is shown."""
    if value <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _in_words(series: Sequence[tuple[str, list[Point]]]) -> Iterator[str]:
    for label, points in series:
        if values := [point.value for point in points if point.value is not None]:
            yield f"{label.capitalize()}: now {_number(values[-1])}, most {_number(max(values))}."


def _rows(series: Sequence[tuple[str, list[Point]]]) -> Iterator[tuple[str, ...]]:
    columns = [{point.at: point.value for point in points} for _, points in series]
    for at in sorted({at for column in columns for at in column}, reverse=True)[:_ROWS]:
        yield _when(at), *(_number(column.get(at)) for column in columns)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _day(at: datetime) -> str:
    return f"{at:%d %b %H:%M}"
