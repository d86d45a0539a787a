"""Numbers of the server: read from its page, kept from run to run, drawn."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tailwart.checks import charts, history, measures
from tailwart.checks.history import Look
from tailwart.runner import Completed
from tailwart.stalwart.protocol.container import fetch, login
from tests.unit.checks.sample import BEGAN, looks, outcome

PAGE = Path(__file__).with_name("server_metrics.txt").read_text()


def kept(*pairs: tuple[float, float | None], name: str = "received") -> list[Look]:
    """Runs at these minutes, with this count of the server's."""
    return [
        Look(BEGAN + timedelta(minutes=minute), 1, (), {} if value is None else {name: value})
        for minute, value in pairs
    ]


def test_the_counters_of_the_servers_page_are_read() -> None:
    assert measures.counters(measures.parse(PAGE)) == {
        "received": 41, "submitted": 17, "stored": 40, "delivered": 15, "deferred": 6, "bounced": 1,
    }  # fmt: skip


def test_labels_are_summed_and_what_is_no_sample_is_skipped() -> None:
    text = '# TYPE a counter\na{b="}"} 2\na{b="c d"} 3 1700000000000\nb NaN-ish\n\nc +Inf\nnot a line\n'
    assert measures.parse(text) == {"a": 5, "c": float("inf")}
    assert measures.counters({}) == dict.fromkeys(measures.COUNTERS, 0)


def test_a_rate_is_per_hour_and_a_restarted_server_counts_from_nothing() -> None:
    found = charts.rates(kept((0, 100), (30, 110), (90, 4), (90.5, 5), (150, 14)), "received")
    assert [point.value for point in found] == [20, 4, 9 * 3600 / 3570]


def test_runs_without_the_number_leave_a_gap_in_the_line() -> None:
    runs = kept((0, 1), (60, 2), (120, None), (180, 3), (240, 3), name="queue")
    (chart,) = charts.charts(runs)
    assert chart.lines[0].path.count("M") == 2
    assert "now 3, most 3" in chart.text
    assert chart.rows[0] == ("2026-11-27 16:00", "3") and chart.rows[2][1] == "–"


@pytest.mark.parametrize("runs", [[], kept((0, 1)), kept((0, 1), (60, None), name="queue")])
def test_one_point_is_no_graph(runs: list[Look]) -> None:
    assert charts.charts(runs) == []


def test_every_point_is_inside_its_graph() -> None:
    found = charts.charts(looks())
    assert [chart.name for chart in found] == ["waiting", "in", "out", "trouble"]
    for chart in found:
        for line in chart.lines:
            assert all(0 <= x <= charts.WIDTH and 0 <= y <= charts.HEIGHT for x, y in line.dots)


def test_the_history_keeps_the_numbers(tmp_path: Path) -> None:
    file = tmp_path / "history"
    file.write_text('{"began": "2026-11-27T10:00:00+00:00", "passed": 3, "others": []}\n')
    history.add(file, replace(outcome(), measures={"queue": 4.0, "delivered": 9.0}))
    assert [look.values for look in history.read(file)] == [{}, {"queue": 4.0, "delivered": 9.0}]


def test_the_password_of_the_metrics_is_in_no_argument() -> None:
    asked = []

    def run(script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        asked.append((script, stdin))
        return Completed(len(asked) == 1, PAGE, "")

    assert fetch(run, login("metrics", 'a"secret'), "/metrics/prometheus") == PAGE
    assert fetch(run, login("metrics", 'a"secret'), "/metrics/prometheus") is None
    assert "secret" not in asked[0][0] and asked[0][1] == 'metrics:a\\"secret\n'
