"""How far long work is: a bar that stays on its line on a terminal, few lines where there is none."""

from __future__ import annotations

import pytest

from tailwart.cli.commands.progress import shown

STAGES = ("opening the target", *(f"uploading: {percent} % (1.2 GB of 2.6 GB)" for percent in range(101)), "done")


def told(capsys: pytest.CaptureFixture[str], *stages: str, terminal: bool) -> str:
    with shown(terminal) as tell:
        for stage in stages:
            tell(stage)
    return capsys.readouterr().err


def test_without_a_terminal_every_tenth_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, *STAGES, terminal=False).splitlines()
    assert lines[:2] == ["… opening the target", "… uploading: 0 % (1.2 GB of 2.6 GB)"]
    assert len(lines) == 13
    assert lines[-1] == "… done"


def test_on_a_terminal_a_bar_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, *STAGES, terminal=True).split("\n")
    assert len(lines) == 4
    bars = lines[1].split("\r\x1b[K")
    assert len(bars) == 102
    assert bars[51] == f"… uploading [{'#' * 12}{'.' * 12}]  50 % (1.2 GB of 2.6 GB)"
    assert lines[2:] == ["… done", ""]


def test_what_comes_after_a_bar_begins_a_line_also_after_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="broken"), shown(terminal=True) as tell:
        tell("copying mail: 7 %")
        raise ValueError("broken")
    assert capsys.readouterr().err.endswith("7 %\n")


def test_two_bars_are_two_lines_and_nothing_of_a_host_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    shown_lines = told(capsys, "copying \x1b[2Ja: 5 % (1 of 2 files)", "copying b: 5 %", terminal=True).split("\n")
    assert len(shown_lines) == 3
    assert "\x1b[2J" not in shown_lines[0] and "\\u001b" in shown_lines[0]
