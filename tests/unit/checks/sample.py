"""Outcomes for the tests of everything that shows one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tailwart.checks.doctor import Age, Job, Outcome, catalogue
from tailwart.checks.history import KEPT, Look
from tailwart.checks.model import Result, Verdict
from tailwart.environment import Environment
from tailwart.printing import printable

BEGAN = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
HOSTILE = printable("<script>alert(1)</script> \x1b[2J &amp; \u202e")


def environment(**more: str) -> Environment:
    edges = [
        {"name": name, "ssh": f"root@192.0.2.{number}", "ipv4": f"192.0.2.{number}"}
        for number, name in enumerate(("edge-1", "edge-2"), 1)
    ]
    return Environment.model_validate({"domain": "example.org", "ts_tailnet": "tail1.ts.net", "edges": edges, **more})


def outcome(verdicts: dict[str, Verdict] | None = None, seen: str = HOSTILE) -> Outcome:
    """Every check of the catalogue passed, but for these ids."""
    return Outcome(
        tuple(_results(verdicts or {}, seen)),
        BEGAN,
        3.2,
        (),
        (Age("example.org", datetime(2027, 1, 1, tzinfo=UTC)),),
        (
            Job("backup", BEGAN - timedelta(hours=9), succeeded=True),
            Job("drill", BEGAN - timedelta(days=5), succeeded=False),
        ),
        {"queue": 3.0},
    )


def looks(count: int = KEPT, every: timedelta = timedelta(hours=6)) -> list[Look]:
    """That many runs until `BEGAN`, each seventh with a failure; the server was restarted in the middle."""
    return [_look(number, count, every) for number in range(count)]


def _look(number: int, count: int, every: timedelta) -> Look:
    bad = number % 7 == 3
    # A day has four runs, and its nights are quiet.
    served = range(count // 2 if number >= count // 2 else 0, number + 1)
    received = sum(60 + 25 * (each % 4) + each * 37 % 23 for each in served)
    submitted = sum(9 + 8 * (each % 4) + each * 29 % 7 for each in served)
    values = {
        "queue": float(number * 5 % 13),
        "received": float(received),
        "stored": float(received - 4 * len(served)),
        "submitted": float(submitted),
        "delivered": float(submitted - number % 5),
        "deferred": float(sum(each * 5 % 3 for each in served)),
        "bounced": float(len(served) // 4),
    }
    others = (("edge.listens edge-1", "failed"),) if bad else ()
    return Look(BEGAN - every * (count - 1 - number), 72 - bad, others, values)


def _results(verdicts: dict[str, Verdict], seen: str) -> Iterator[Result]:
    for check in catalogue():
        verdict = verdicts.get(check.id, Verdict.PASSED)
        for host in ("edge-1", "edge-2") if check.plane == "edge" else ("mailbox",):
            yield Result(check, host, verdict, () if verdict is Verdict.PASSED else (seen,))
