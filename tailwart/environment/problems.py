"""What is wrong with a `.env`, all of it at once."""

from __future__ import annotations

from dataclasses import dataclass

from tailwart.errors import TailwartError
from tailwart.plan.model import MASK


@dataclass(frozen=True, slots=True)
class Problem:
    """One setting that cannot be used. ``value`` is shown unless ``secret``; None means that it is missing."""

    key: str
    expected: str
    value: str | None = None
    example: str = ""
    secret: bool = False

    def __str__(self) -> str:
        shown = "(not set)" if self.value is None else MASK if self.secret else repr(self.value)
        example = f"\n      example:  {self.key}={self.example}" if self.example and not self.secret else ""
        return f"  {self.key} = {shown}\n      expected: {self.expected}{example}"


class EnvironmentProblems(TailwartError):
    """A `.env` that cannot be used; nothing was touched. ``problems`` holds every one found."""

    def __init__(self, path: str, problems: tuple[Problem, ...]) -> None:
        self.path = path
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(
            f"{path}: {count}, nothing was touched\n" + "\n".join(map(str, problems)),
            remedy=f"edit {path}; every key is described in .env.example",
        )
