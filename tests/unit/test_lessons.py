"""The lessons and their page."""

from __future__ import annotations

from pathlib import Path

from tailwart.lessons import LESSONS, page


def test_there_are_seventeen_each_with_cause_and_remedy() -> None:
    assert list(LESSONS) == list(range(1, 18))
    assert all(lesson.cause and lesson.remedy for lesson in LESSONS.values())


def test_the_page_in_docs_is_what_the_code_says() -> None:
    assert (Path(__file__).parents[2] / "docs" / "lessons.md").read_text() == page()
