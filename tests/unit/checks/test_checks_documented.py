"""docs/checks.md says of every check how it was provoked and where, and says nothing of others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tailwart.checks.doctor import catalogue
from tailwart.checks.message import MESSAGE
from tailwart.checks.public.book import PUBLIC
from tailwart.lessons import LESSONS

ROOT = Path(__file__).parents[3]
TABLE = (ROOT / "docs/checks.md").read_text().partition("## What was provoked")[2]
ROWS = re.findall(r"^\| `([a-z]+\.[a-z0-9-]+)` \| (.+) \| `([^`]+)` \|$", TABLE, re.MULTILINE)
CHECKS = {check.id: check for check in (*catalogue(), *PUBLIC.checks(), *MESSAGE.checks())}


def test_the_table_has_every_check_once_in_its_order() -> None:
    assert [identifier for identifier, _, _ in ROWS] == list(CHECKS)


@pytest.mark.parametrize(("identifier", "broken", "file"), ROWS, ids=[row[0] for row in ROWS])
def test_the_test_that_is_named_is_about_the_check(identifier: str, broken: str, file: str) -> None:
    text = (ROOT / file).read_text()
    plane, _, name = identifier.partition(".")
    # What every host has stands once, in the tests of one of them; those of a stranger's look are made from the book.
    assert re.search(rf'["{plane}.]{re.escape(name)}["\'`]', text) or (plane == "public" and "PUBLIC.checks()" in text)
    assert broken.strip()


def test_every_lesson_that_a_check_guards_is_in_the_table() -> None:
    told = {int(number) for _, broken, _ in ROWS for number in re.findall(r"lesson (\d+)", broken)}
    assert {check.lesson for check in CHECKS.values() if check.lesson} <= told
    assert told == set(LESSONS), f"not provoked: {sorted(set(LESSONS) - told)}"


def test_every_check_that_is_named_beside_another_exists() -> None:
    named = {name for _, broken, _ in ROWS for name in re.findall(r"`([a-z]+\.[a-z0-9-]+)`", broken)}
    assert {name for name in named if not name.startswith("zone.")} <= set(CHECKS)
