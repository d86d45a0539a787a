"""One check of `tailwart.checks` as one test: its id and title are the test's name."""

from __future__ import annotations

from typing import TypeVar

import pytest

from tailwart.checks.model import Book, Check, Verdict
from tailwart.errors import TailwartError

Facts = TypeVar("Facts")


def named(check: Check) -> str:
    """`ID Title`, which `-k` finds by either."""
    return f"{check.id} {check.title}"


def holds(book: Book[Facts], check: Check, facts: Facts | TailwartError, host: str) -> None:
    """Fail with what was seen, cause, lesson and remedy unless the check passes; skip what does not apply."""
    (result,) = book.run(facts, host, lambda each: each is check)
    if result.verdict is Verdict.SKIPPED:
        pytest.skip(result.seen[0])
    if result.verdict is Verdict.PASSED:
        return
    lines = [f"{check.id} on {host}: {result.verdict.value}", *(f"  seen:   {line}" for line in result.seen)]
    if check.trap is not None:
        lines.insert(1, str(check.trap))
    elif check.why:
        lines.append(f"  cause:  {check.why}")
    raise AssertionError("\n".join([*lines, f"  remedy: {result.remedy}"]))
