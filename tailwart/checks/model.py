"""A check, its result, and the books in which the checks of one plane stand. Pure.

A check looks at facts that were gathered before, all of a host by one command, and changes nothing:

    @MAILBOX.check("mailbox.published-ports", "No mail port is published on the host", remedy="…")
    def published_ports(facts: MailboxFacts) -> Found:
        for port in facts.published:
            yield f"{port} listens on the host"

It yields one line for everything that is wrong, without a secret in it. `CannotLook` says why there is no answer, which
never counts as passed; `NotApplicable` says why there is no question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from tailwart.errors import TailwartError, unexpected
from tailwart.lessons import LESSONS, Lesson
from tailwart.printing import printable

Facts = TypeVar("Facts")
Found = Iterable[str]

_MOST_LINES = 6


class Verdict(StrEnum):
    """The result of one check."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "could not look"
    SKIPPED = "not applicable"


class Severity(StrEnum):
    """Mail is lost, refused or exposed without what is required; the rest is recommended."""

    REQUIRED = "required"
    RECOMMENDED = "recommended"


class CannotLook(Exception):
    """There is no answer: a program is missing, a command failed, a server did not say."""


class NotApplicable(Exception):
    """The installation does not have what the check is about."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold. ``title`` says it as a sentence; ``remedy`` is a command, or the edit to make.

    ``lesson`` is a number of `tailwart.lessons`; a check without one has its ``cause`` instead. ``deep`` checks take
    longer or put something on the system, so they run only when they are asked for. An error of the type ``caught``,
    which leaves everything else unknown, is what this check is about: it has failed then.
    """

    id: str
    title: str
    remedy: str
    cause: str = ""
    lesson: int | None = None
    severity: Severity = Severity.REQUIRED
    deep: bool = False
    caught: type[TailwartError] | None = None

    @property
    def plane(self) -> str:
        """The first part of the id."""
        return self.id.partition(".")[0]

    @property
    def trap(self) -> Lesson | None:
        """The lesson that this check guards."""
        return LESSONS[self.lesson] if self.lesson is not None else None

    @property
    def why(self) -> str:
        """What is behind a failure."""
        return self.cause or (self.trap.cause if self.trap else "")


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found on one host. ``seen`` has a line for each thing; ``remedy`` is the check's own if empty."""

    check: Check
    host: str
    verdict: Verdict
    seen: tuple[str, ...] = ()
    own_remedy: str = ""

    @property
    def fails(self) -> bool:
        """Whether this result alone makes the whole fail."""
        return self.verdict is Verdict.FAILED and self.check.severity is Severity.REQUIRED

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return self.own_remedy or self.check.remedy

    def document(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return {
            "id": self.check.id,
            "plane": self.check.plane,
            "host": self.host,
            "title": self.check.title,
            "verdict": self.verdict.value,
            "severity": self.check.severity.value,
            "seen": list(self.seen),
            "lesson": self.check.lesson,
            "cause": self.check.why,
            "remedy": self.remedy,
        }


Look = Callable[[Facts], Found]


@dataclass(frozen=True, slots=True)
class Book(Generic[Facts]):
    """The checks of one plane, in the order in which one failure explains the next."""

    plane: str
    entries: dict[str, tuple[Check, Look[Facts]]] = field(default_factory=dict)

    def check(
        self,
        name: str,
        title: str,
        *,
        remedy: str,
        cause: str = "",
        lesson: int | None = None,
        severity: Severity = Severity.REQUIRED,
        deep: bool = False,
        caught: type[TailwartError] | None = None,
    ) -> Callable[[Look[Facts]], Look[Facts]]:
        """Enter the decorated function under ``PLANE.name``."""

        def enter(look: Look[Facts]) -> Look[Facts]:
            identifier = f"{self.plane}.{name}"
            assert identifier not in self.entries, f"{identifier} is entered twice"
            self.entries[identifier] = Check(identifier, title, remedy, cause, lesson, severity, deep, caught), look
            return look

        return enter

    def checks(self) -> tuple[Check, ...]:
        """Every check of the book."""
        return tuple(check for check, _ in self.entries.values())

    def run(self, facts: Facts | TailwartError, host: str, chosen: Callable[[Check], bool]) -> list[Result]:
        """The results of the chosen checks on one host; all of them `UNKNOWN` where the facts are an error.

        One that is about that very error has failed.
        """
        return [
            _failed_look(check, host, facts) if isinstance(facts, TailwartError) else _result(check, host, look, facts)
            for check, look in self.entries.values()
            if chosen(check)
        ]


def _failed_look(check: Check, host: str, error: TailwartError) -> Result:
    seen = (error.what, *error.seen.splitlines()[:2])
    if check.caught is not None and isinstance(error, check.caught):
        return Result(check, host, Verdict.FAILED, seen)
    return Result(check, host, Verdict.UNKNOWN, seen, error.remedy)


def _result(check: Check, host: str, look: Look[Facts], facts: Facts) -> Result:
    try:
        found = tuple(_lines(look(facts)))
    except NotApplicable as reason:
        return Result(check, host, Verdict.SKIPPED, (printable(str(reason)),))
    except CannotLook as reason:
        return Result(check, host, Verdict.UNKNOWN, tuple(printable(str(reason)).splitlines()[:3]))
    except TailwartError as error:
        return _failed_look(check, host, error)
    # An answer that nobody foresaw is no answer; it ends neither the others nor the run.
    except Exception as error:
        return _failed_look(check, host, unexpected(error, "report what TAILWART_DEBUG=1 prints"))
    return Result(check, host, Verdict.FAILED if found else Verdict.PASSED, found)


def _lines(found: Found) -> Iterator[str]:
    for number, text in enumerate(found):
        if number == _MOST_LINES:
            yield "…"
            return
        yield printable(text).replace("\n", " · ")
