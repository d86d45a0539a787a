"""The one exception that is meant for the operator's eyes."""

from __future__ import annotations

import traceback
from collections.abc import Iterator

from tailwart.printing import printable

# As wide as "  expected: ", so that every line of a text starts in the same column.
_INDENT = " " * 12


class TailwartError(Exception):
    """A failure in the operator's terms: what failed, what was seen, what was expected, and what to do about it.

    Each text may have several lines, separated by plain newlines; `str()` indents them below their label:

        mailbox: ts-stalwart is not healthy
          seen:     the first line of its output
                    the second line
          remedy:   run `tailwart env check`

    ``lesson`` is a number of `tailwart.lessons.LESSONS` where the cause is one of the known traps.
    Callers never put a secret into any of the texts: they end in logs, reports and terminals. What was seen is often
    the text of others, so all of them are made printable.
    """

    def __init__(
        self, what: str, *, seen: str = "", expected: str = "", remedy: str = "", lesson: int | None = None
    ) -> None:
        self.what, self.seen, self.expected, self.remedy = map(printable, (what, seen, expected, remedy))
        self.lesson = lesson
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.what, *_labelled("seen:", self.seen), *_labelled("expected:", self.expected)]
        if self.lesson is not None:
            lines.append(f"  lesson:   {self.lesson} (docs/lessons.md)")
        return "\n".join([*lines, *_labelled("remedy:", self.remedy)])

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling, which gevent and pytest-xdist rely on.
        return (_rebuild, (self.what, self.seen, self.expected, self.remedy, self.lesson))


def unexpected(error: BaseException, remedy: str) -> TailwartError:
    """The error for an exception that nobody foresaw, without its text, which may hold a secret.

    An error of the operating system (disk full, no permission) names its own cause.
    """
    seen = f"{type(error).__name__} at {_place(error)}"
    if isinstance(error, OSError) and error.strerror:
        return TailwartError(error.strerror, seen=f"{error.filename or ''} {seen}".strip(), remedy=remedy)
    return TailwartError("An unexpected error; this is a defect of tailwart", seen=seen, remedy=remedy)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    # The last place of our own says more than the depth of a library.
    own = [frame for frame in frames if "site-packages" not in frame.filename] or list(frames)
    return f"{own[-1].filename}:{own[-1].lineno}" if own else "an unknown place"


def _labelled(label: str, text: str) -> Iterator[str]:
    """The text beside its label, its further lines below."""
    if not text:
        return
    first, *rest = text.split("\n")
    yield f"  {label:<10}{first}"
    yield from (f"{_INDENT}{line}".rstrip() for line in rest)


def _rebuild(what: str, seen: str, expected: str, remedy: str, lesson: int | None) -> TailwartError:
    return TailwartError(what, seen=seen, expected=expected, remedy=remedy, lesson=lesson)
