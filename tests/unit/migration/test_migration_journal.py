"""How far a move has come, and what must not be missing at its end."""

from __future__ import annotations

import pytest

from tailwart.migration.journal import Journal, Step, lost, parse


def test_a_journal_is_read_as_it_was_written() -> None:
    entry = Journal("root@192.0.2.11:22", Step.STOPPED, {"alice@example.org": 12})
    assert parse(entry.dump()) == entry


@pytest.mark.parametrize("text", ["", "{", "[]", '{"target": "x"}', '{"target": "x", "step": "?", "accounts": {}}'])
def test_what_nobody_can_read_is_no_journal(text: str) -> None:
    assert parse(text) is None


def test_an_account_that_is_missing_or_smaller_is_named_and_a_larger_one_is_not() -> None:
    before = {"a@example.org": 5, "b@example.org": 7, "c@example.org": 0}
    assert lost(before, {"a@example.org": 9, "b@example.org": 7, "c@example.org": 0}) == []
    assert lost(before, {"a@example.org": 5, "b@example.org": 6}) == [
        "b@example.org: 6 of 7 bytes",
        "c@example.org: 0 of 0 bytes",
    ]
