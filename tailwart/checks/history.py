"""The last looks of this machine at an installation: verdicts and numbers only, mode 0600, at most a hundred.

One JSON document a line, the oldest first, in the user's state directory. A line that is not one is skipped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tailwart.checks.doctor import Outcome
from tailwart.checks.model import Verdict

KEPT = 100


@dataclass(frozen=True, slots=True)
class Look:
    """One earlier outcome: how many checks passed, and which did not, as ``ID HOST`` with the verdict.

    ``values`` are numbers of the server at that time, by the names of `checks.measures`.
    """

    began: datetime
    passed: int
    others: tuple[tuple[str, str], ...]
    values: Mapping[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether something failed."""
        return any(verdict == Verdict.FAILED.value for _, verdict in self.others)

    @property
    def blind(self) -> bool:
        """Whether something could not be looked at."""
        return any(verdict == Verdict.UNKNOWN.value for _, verdict in self.others)


@dataclass(frozen=True, slots=True)
class Change:
    """A check whose verdict is another than at the look before."""

    name: str
    before: str
    now: str


def path(domain: str) -> Path:
    """Where the looks at the installation of this mail domain are kept (XDG base directory specification)."""
    given = os.environ.get("XDG_STATE_HOME", "")
    base = Path(given) if given.startswith("/") else Path.home() / ".local/state"
    return base / "tailwart" / "doctor" / f"{domain}.jsonl"


def read(file: Path) -> list[Look]:
    """Every look that can be read, the oldest first."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [look for line in lines if (look := _parsed(line)) is not None]


def add(file: Path, outcome: Outcome) -> list[Look]:
    """Note a whole look, and return all that are kept. Raises `OSError` where the directory cannot be written."""
    looks = [*read(file), of(outcome)][-KEPT:]
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.writelines(f"{_line(look)}\n" for look in looks)
    temporary.replace(file)
    return looks


def of(outcome: Outcome) -> Look:
    """What is kept of an outcome."""
    others = [
        (f"{item.check.id} {item.host}", item.verdict.value) for item in outcome.of(Verdict.FAILED, Verdict.UNKNOWN)
    ]
    return Look(
        outcome.began.replace(microsecond=0), len(outcome.of(Verdict.PASSED)), tuple(others), dict(outcome.measures)
    )


def changes(before: Look, now: Look) -> list[Change]:
    """What changed between two looks; what is not listed in a look had passed."""
    old, new = dict(before.others), dict(now.others)
    passed = Verdict.PASSED.value
    return [
        Change(name, old.get(name, passed), new.get(name, passed))
        for name in sorted({*old, *new})
        if old.get(name, passed) != new.get(name, passed)
    ]


def previous(looks: Sequence[Look]) -> Look | None:
    """The look before the last one."""
    return looks[-2] if len(looks) > 1 else None


def _line(look: Look) -> str:
    return json.dumps(
        {
            "began": look.began.isoformat(),
            "passed": look.passed,
            "others": look.others,
            **({"values": dict(look.values)} if look.values else {}),
        }
    )


def _parsed(line: str) -> Look | None:
    try:
        document = json.loads(line)
        others = tuple((str(name), str(verdict)) for name, verdict in document["others"])
        values = {str(name): float(value) for name, value in document.get("values", {}).items()}
        return Look(datetime.fromisoformat(document["began"]), int(document["passed"]), others, values)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
