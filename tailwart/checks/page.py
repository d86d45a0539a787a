"""The status page: one file of HTML without scripts and without a request to anywhere. Pure.

Everything that others wrote is escaped by the template's own rules; the page's policy (CSP) forbids all but its styles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from tailwart.checks import charts, picture
from tailwart.checks.certificates import SOON
from tailwart.checks.doctor import PLANES, Age, Job, Outcome
from tailwart.checks.history import Look
from tailwart.checks.measures import QUEUE
from tailwart.checks.model import Result, Severity, Verdict
from tailwart.checks.picture import SIGNS, STATES, WORDS
from tailwart.checks.terminal import verdict
from tailwart.environment import Environment
from tailwart.hosts import templates
from tailwart.printing import duration

_TALLEST = 40


def render(outcome: Outcome, environment: Environment, looks: Sequence[Look] = (), *, served: bool = False) -> str:
    """The page of one look, with the bars and graphs of earlier ones.

    ``served``: as the mailbox host gets it, which puts in what it sees itself (`templates/status/refresh.sh`).
    """
    way = picture.way(outcome, environment)
    state = "failed" if outcome.failed else "unknown" if outcome.blind else "passed"
    return templates.page(
        "status/page.html.j2",
        served=served,
        domain=environment.domain,
        verdict=verdict(outcome),
        state=state,
        signs=SIGNS,
        began=f"{outcome.began:%Y-%m-%dT%H:%M:%SZ}",
        shown=_time(outcome.began),
        pictures=(picture.wide(way), picture.tall(way)),
        way=way.text,
        wrong=[_shown(item) for item in _ordered(outcome.of(Verdict.FAILED, Verdict.UNKNOWN))],
        planes=list(_planes(outcome)),
        absent=outcome.absent,
        tiles=list(_tiles(outcome)),
        charts=charts.charts(looks),
        chart_width=charts.WIDTH,
        chart_height=charts.HEIGHT,
        history=[_bar(look) for look in looks],
        history_text=_history(looks),
    )


def _planes(outcome: Outcome) -> Iterator[dict[str, Any]]:
    for plane in PLANES:
        if found := picture.of_plane(outcome, plane):
            counts = [(name, sum(item.verdict is name for item in found)) for name in STATES]
            state = picture.worst(found)
            yield {
                "name": plane,
                "state": state,
                "open": state not in ("passed", "none"),
                "counts": ", ".join(f"{count} {name.value}" for name, count in counts if count),
                # What is wrong comes first; the rest stays in the order in which one failure explains the next.
                "results": [_shown(item) for item in sorted(found, key=lambda item: list(STATES).index(item.verdict))],
            }


def _shown(item: Result) -> dict[str, Any]:
    return {
        "id": item.check.id,
        "title": item.check.title,
        "state": STATES[item.verdict],
        "word": item.verdict.value,
        "where": item.host if item.check.plane == "edge" else "",
        "advice": "" if item.check.severity is Severity.REQUIRED else " (recommended)",
        "seen": item.seen,
        "cause": item.check.why if item.verdict is Verdict.FAILED else "",
        "remedy": item.remedy,
        "note": item.seen[0] if item.verdict is Verdict.SKIPPED and item.seen else "",
    }


def _tiles(outcome: Outcome) -> Iterator[dict[str, str]]:
    """What has an age or a length: certificates, backup and drill, the queue."""
    for age in outcome.ages:
        yield _certificate(age, outcome.began)
    for job in outcome.jobs:
        yield _job(job, outcome.began)
    if (waiting := outcome.measures.get(QUEUE)) is not None:
        yield {"name": "queue", "value": f"{waiting:.0f}", "note": "messages wait", "state": "none"}


def _certificate(age: Age, now: datetime) -> dict[str, str]:
    days = (age.until - now).days
    state = "failed" if days < 0 else "unknown" if days < SOON.days else "passed"
    return {
        "name": f"certificate of {age.name}",
        "value": "1 day left" if days == 1 else f"{days} days left" if days >= 0 else "expired",
        "note": f"until {_time(age.until)}",
        "state": state,
    }


def _job(job: Job, now: datetime) -> dict[str, str]:
    return {
        "name": f"last {job.name}",
        "value": f"{duration((now - job.ended).total_seconds())} before" if job.succeeded else "failed",
        "note": _time(job.ended),
        "state": "passed" if job.succeeded else "failed",
    }


def _ordered(found: list[Result]) -> list[Result]:
    return sorted(found, key=lambda item: not item.fails)


def _bar(look: Look) -> dict[str, Any]:
    state = "failed" if look.failed else "unknown" if look.blind else "passed"
    total = look.passed + len(look.others)
    return {
        "state": state,
        "word": WORDS[state],
        # A look at which everything is well is the tallest; a bad one is never invisible.
        "height": max(6, round(_TALLEST * look.passed / total)) if total else 6,
        "text": f"{_time(look.began)}: {look.passed} passed, {len(look.others)} not",
        "others": ", ".join(f"{name} {found}" for name, found in look.others[:4])
        + (", …" if len(look.others) > 4 else ""),
    }


def _history(looks: Sequence[Look]) -> str:
    bad = sum(look.failed for look in looks)
    return f"{len(looks)} runs, {bad} of them with a failure; the newest is on the right"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
