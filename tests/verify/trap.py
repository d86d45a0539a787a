"""How a failed verification names the known trap behind it."""

from __future__ import annotations

from tailwart.lessons import LESSONS


def avoided(number: int, holds: bool, seen: str) -> None:
    """Fail with the lesson's title, cause and remedy unless the guard holds; ``seen`` is what was observed."""
    if not holds:
        raise AssertionError(f"{LESSONS[number]}\n  seen:   {seen}")
