"""A check that cannot look never passes, and one that breaks ends nothing else."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from tailwart.checks import edge, mailbox_facts
from tailwart.checks.doctor import Outcome, catalogue, chooser
from tailwart.checks.model import Book, CannotLook, Check, Found, NotApplicable, Severity, Verdict
from tailwart.errors import TailwartError
from tailwart.hosts.watch import script
from tests.unit.checks.sample import BEGAN, environment, outcome

SETTINGS = environment(stalwart_store="rocksdb", smarthost_address="192.0.2.25")


def every(check: Check) -> bool:
    return bool(check)


@pytest.fixture
def book() -> Book[list[str]]:
    found: Book[list[str]] = Book("edge")

    @found.check("one", "Nothing is in the list", remedy="empty it", lesson=8)
    def one(facts: list[str]) -> Found:
        yield from facts

    @found.check("two", "There is an answer", remedy="ask again", cause="nobody asked")
    def two(facts: list[str]) -> Iterator[str]:
        if "silent" in facts:
            raise CannotLook("nobody answers")
        if "foreign" in facts:
            raise NotApplicable("it is not ours")
        if "broken" in facts:
            raise KeyError("a-secret-value")
        yield from ()

    return found


def verdicts(book: Book[list[str]], facts: list[str] | TailwartError) -> list[Verdict]:
    return [item.verdict for item in book.run(facts, "edge-1", every)]


def test_what_is_found_fails_and_nothing_found_passes(book: Book[list[str]]) -> None:
    assert verdicts(book, []) == [Verdict.PASSED, Verdict.PASSED]
    assert verdicts(book, ["port 25"]) == [Verdict.FAILED, Verdict.PASSED]


def test_without_an_answer_nothing_passes(book: Book[list[str]]) -> None:
    assert verdicts(book, ["silent"])[1] is Verdict.UNKNOWN
    unreached = book.run(TailwartError("edge-1 cannot be reached", seen="timed out", remedy="look"), "edge-1", every)
    assert [item.verdict for item in unreached] == [Verdict.UNKNOWN, Verdict.UNKNOWN]
    assert unreached[0].seen == ("edge-1 cannot be reached", "timed out")
    assert unreached[0].remedy == "look"


def test_what_does_not_apply_is_neither_passed_nor_failed(book: Book[list[str]]) -> None:
    assert verdicts(book, ["foreign"])[1] is Verdict.SKIPPED


def test_an_unforeseen_answer_is_no_answer_and_shows_no_value(book: Book[list[str]]) -> None:
    _, result = book.run(["broken"], "edge-1", every)
    assert result.verdict is Verdict.UNKNOWN
    assert "a-secret-value" not in str(result)


def test_what_others_wrote_cannot_move_the_cursor_or_flood_the_screen(book: Book[list[str]]) -> None:
    result, _ = book.run([f"line {number}\x1b[2J\nmore" for number in range(40)], "edge-1", every)
    assert len(result.seen) == 7
    assert not any("\x1b" in line or "\n" in line for line in result.seen)


def test_the_exit_code_tells_wrong_from_unknown() -> None:
    required = next(item.id for item in catalogue() if item.severity is Severity.REQUIRED)
    advice = next(item.id for item in catalogue() if item.severity is Severity.RECOMMENDED)
    assert outcome().exit_code == 0
    assert outcome({required: Verdict.FAILED}).exit_code == 1
    assert outcome({required: Verdict.UNKNOWN}).exit_code == 2
    assert outcome({advice: Verdict.FAILED}).exit_code == 0
    assert Outcome((), BEGAN, 0.0).exit_code == 0


def test_every_check_says_what_holds_why_not_and_what_to_do() -> None:
    found = catalogue()
    assert len({item.id for item in found}) == len(found) > 50
    for item in found:
        assert re.fullmatch(r"(mailbox|server|backends|edge|tailnet|zone)\.[a-z0-9-]+", item.id)
        assert item.title[0].isupper() and item.remedy and item.why, item.id


def test_a_word_chooses_a_plane_or_a_check_and_a_wrong_one_is_refused() -> None:
    chosen = [item.id for item in catalogue() if chooser(["edge", "server.queue"])(item)]
    assert set(chosen) == {"server.queue", *(item.id for item in catalogue() if item.plane == "edge" and not item.deep)}
    with pytest.raises(TailwartError, match="tailwart doctor --list"):
        chooser(["server.que"])


def test_a_posix_shell_reads_the_scripts_of_all_facts() -> None:
    """dash, not only the shell that root happens to have: a probe that begins with `(` would be arithmetic there."""
    for watch in (mailbox_facts.watch(SETTINGS), edge.watch(SETTINGS, SETTINGS.edges[0])):
        checked = subprocess.run(["dash", "-n"], input=script(watch), capture_output=True, text=True, check=False)
        assert checked.stderr == ""
