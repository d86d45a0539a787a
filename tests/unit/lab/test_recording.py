"""The recording of a terminal: whole, readable by asciinema, and without the machine's own paths."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import pytest

from lab.recording import LONGEST_PAUSE, record


def events(file: Path) -> list[tuple[float, str, str]]:
    header, *lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert header["version"] == 2 and header["width"] > 80 and set(header) == {"version", "width", "height", "title"}
    return [(at, kind, text) for at, kind, text in lines]


def test_a_recording_has_every_line_in_order_and_no_path_of_the_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = (
        "printf '/home/me/x'; sleep 0.2; printf '/y ✓\\n'; printf '/home/melon\\n'; test -t 1 && printf 'end'; exit 3"
    )
    assert record(["sh", "-c", script], tmp_path / "cast", [("/home/me", "~")]) == 3
    found = events(tmp_path / "cast")
    assert "".join(text for _, _, text in found) == "~/x/y ✓\r\n/home/melon\r\nend"
    assert {kind for _, kind, _ in found} == {"o"}
    assert [at for at, _, _ in found] == sorted(at for at, _, _ in found)
    assert "/home/me/x/y" in capsys.readouterr().out


def test_a_long_pause_is_a_short_one(tmp_path: Path) -> None:
    every_minute = count(0.0, 60.0).__next__
    assert record(["sh", "-c", "echo a; sleep 0.5; echo b"], tmp_path / "cast", [], every_minute) == 0
    found = events(tmp_path / "cast")
    assert [at for at, _, _ in found] == [LONGEST_PAUSE * number for number in range(1, len(found) + 1)]
