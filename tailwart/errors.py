"""The one exception that is meant for the operator's eyes."""

from __future__ import annotations


class TailwartError(Exception):
    """A failure told in the operator's terms: what, seen, expected, and what to do about it.

    ``lesson`` is a number of `tailwart.lessons.LESSONS` where the cause is one of the known traps.
    Callers never put a secret into any of the texts: they end in logs, reports and terminals.
    """

    def __init__(
        self, what: str, *, seen: str = "", expected: str = "", remedy: str = "", lesson: int | None = None
    ) -> None:
        self.what = what
        self.seen = seen
        self.expected = expected
        self.remedy = remedy
        self.lesson = lesson
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.what]
        if self.seen:
            lines.append(f"  seen:     {self.seen}")
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.lesson is not None:
            lines.append(f"  lesson:   {self.lesson} (docs/lessons.md)")
        if self.remedy:
            lines.append(f"  remedy:   {self.remedy}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling, which gevent and pytest-xdist rely on.
        return (_rebuild, (self.what, self.seen, self.expected, self.remedy, self.lesson))


def _rebuild(what: str, seen: str, expected: str, remedy: str, lesson: int | None) -> TailwartError:
    return TailwartError(what, seen=seen, expected=expected, remedy=remedy, lesson=lesson)
