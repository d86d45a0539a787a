"""Repeating requests: which outcome the caller gets, after how many attempts, and with which pauses."""

from __future__ import annotations

import doctest
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwart import retries
from tailwart.retries import Retries, retry_after


class Passing(Exception):
    """An error that may pass."""


class Server:
    """Answers from a list: an exception is raised, a number is a status. The last answer repeats."""

    def __init__(self, *answers: int | Exception, asks: float | None = None) -> None:
        self.answers = list(answers)
        self.asks = asks
        self.requests = 0
        self.pauses: list[float] = []

    def request(self) -> int:
        self.requests += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def call(self, attempts: int = 4, total_pause: float = 60.0) -> int:
        return Retries(attempts, 0.5, total_pause, self.pauses.append).call(
            self.request,
            transient_error=Passing,
            transient=lambda status: status == 503,
            requested_pause=lambda _: self.asks,
        )


def test_a_good_answer_is_not_repeated() -> None:
    server = Server(200)
    assert server.call() == 200
    assert (server.requests, server.pauses) == (1, [])


def test_a_failure_that_passes_is_repeated() -> None:
    server = Server(503, Passing("reset"), 200)
    assert server.call() == 200
    assert server.requests == 3


def test_the_last_answer_is_returned_after_the_last_attempt() -> None:
    server = Server(503)
    assert server.call(attempts=3) == 503
    assert (server.requests, len(server.pauses)) == (3, 2)


def test_the_last_error_is_raised_after_the_last_attempt() -> None:
    server = Server(503, Passing("first"), Passing("last"))
    with pytest.raises(Passing, match="last"):
        server.call(attempts=3)
    assert server.requests == 3


def test_another_error_passes_at_once() -> None:
    server = Server(ValueError("wrong"), 200)
    with pytest.raises(ValueError, match="wrong"):
        server.call()
    assert server.requests == 1


def test_pauses_double_with_a_random_part() -> None:
    server = Server(503)
    server.call(attempts=6)
    for number, pause in enumerate(server.pauses):
        assert 0.5 * 2**number <= pause <= 0.5 * 2**number + 0.5


def test_clients_that_failed_together_do_not_return_together() -> None:
    servers = [Server(503) for _ in range(10)]
    for server in servers:
        server.call(attempts=2)
    assert len({tuple(server.pauses) for server in servers}) > 1


def test_a_requested_pause_is_waited_exactly() -> None:
    server = Server(503, 503, 200, asks=7)
    assert server.call() == 200
    assert server.pauses == [7, 7]


def test_a_requested_pause_over_the_total_is_not_waited_at_all() -> None:
    server = Server(503, 200, asks=61)
    assert server.call() == 503
    assert (server.requests, server.pauses) == (1, [])


@given(st.floats(0, 1000), st.floats(0, 300), st.integers(1, 20))
def test_no_server_can_hold_the_caller_longer_than_its_bounds(asks: float, total: float, attempts: int) -> None:
    server = Server(503, asks=asks)
    assert server.call(attempts, total) == 503
    assert sum(server.pauses) <= total
    assert 1 <= server.requests <= attempts


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 17 ", 17.0),
        (formatdate(1_000_030, usegmt=True), 30.0),
        (formatdate(1_000_030), 30.0),
        (formatdate(1, usegmt=True), 0.0),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("nan", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after(text, now=lambda: 1_000_000.0) == seconds


@given(st.text())
def test_retry_after_of_any_text_is_no_error(text: str) -> None:
    seconds = retry_after(text)
    assert seconds is None or seconds >= 0


def test_the_examples_are_true() -> None:
    assert doctest.testmod(retries).failed == 0
