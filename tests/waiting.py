"""Waiting for a condition, with a bound and a name for what did not come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def until(attempt: Callable[[], T | None], what: str, seconds: float = 30, pause: float = 0.2) -> T:
    """The first result of ``attempt`` that holds; fails with ``what`` after ``seconds``.

    An empty answer (an empty list, a command that printed nothing) is none yet, like False and None.
    """
    deadline = time.monotonic() + seconds
    while True:
        result = attempt()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(pause)


@contextmanager
def polling(ask: Callable[[], list[str]]) -> Iterator[list[list[str]]]:
    """Everything that a client of the name server saw during the block."""
    seen: list[list[str]] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.append(ask())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
