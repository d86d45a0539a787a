"""The one exception for the operator's eyes."""

from __future__ import annotations

import pickle

from tailwart.errors import TailwartError


def test_the_message_has_everything_and_survives_pickling() -> None:
    error = TailwartError(
        "route smarthost", seen="refused", expected="a grant", remedy="run the tailnet role", lesson=11
    )
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert str(copy) == str(error)
    assert copy.lesson == 11
    for part in (
        "route smarthost",
        "seen:     refused",
        "expected: a grant",
        "lesson:   11",
        "remedy:   run the tailnet role",
    ):
        assert part in str(error)


def test_every_line_of_a_text_starts_below_its_label() -> None:
    error = TailwartError("2 changes", seen="first\nsecond\n  detail", expected="none", remedy="one\ntwo")
    assert str(error).splitlines() == [
        "2 changes",
        "  seen:     first",
        "            second",
        "              detail",
        "  expected: none",
        "  remedy:   one",
        "            two",
    ]
