"""An outcome for node_exporter's textfile collector, in the text format of Prometheus (version 0.0.4). Pure.

One sample a check and host: 1 passed, 0 failed, -1 could not look. What does not apply has none. Beside them stands
what alerts are made of and the server's own page does not have: certificates, backup and drill, the queue's length.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tailwart.checks.doctor import Outcome
from tailwart.checks.measures import QUEUE
from tailwart.checks.model import Verdict

_VALUES = {Verdict.PASSED: 1, Verdict.FAILED: 0, Verdict.UNKNOWN: -1}


def render(outcome: Outcome, domain: str) -> str:
    """The samples of one look at the installation of a mail domain."""
    return "".join(f"{line}\n" for line in _lines(outcome, domain))


def write(file: Path, text: str) -> None:
    """Replace the file in one step: the collector never reads a half one. It is readable by all and holds no secret."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.chmod(0o644)
    temporary.replace(file)


def _lines(outcome: Outcome, domain: str) -> Iterator[str]:
    checked = [
        (
            {"domain": domain, "id": item.check.id, "host": item.host, "severity": item.check.severity.value},
            str(_VALUES[item.verdict]),
        )
        for item in outcome.results
        if item.verdict in _VALUES
    ]
    yield from _gauge("tailwart_check", "Result of a check: 1 passed, 0 failed, -1 could not look.", checked)
    own = {"domain": domain}
    yield from _gauge(
        "tailwart_doctor_timestamp_seconds", "When the checks were run.", [(own, f"{outcome.began.timestamp():.0f}")]
    )
    yield from _gauge(
        "tailwart_doctor_duration_seconds", "How long the checks took.", [(own, f"{outcome.seconds:.3f}")]
    )
    yield from _gauge(
        "tailwart_certificate_expiry_timestamp_seconds",
        "Until when the certificate of a mail domain is valid.",
        [(own | {"name": age.name}, f"{age.until.timestamp():.0f}") for age in outcome.ages],
    )
    yield from _gauge(
        "tailwart_job_ended_timestamp_seconds",
        "When backup or drill ended last.",
        [(own | {"name": job.name}, f"{job.ended.timestamp():.0f}") for job in outcome.jobs],
    )
    yield from _gauge(
        "tailwart_job_succeeded",
        "Whether the last backup or drill succeeded.",
        [(own | {"name": job.name}, str(int(job.succeeded))) for job in outcome.jobs],
    )
    yield from _gauge(
        "tailwart_queue_messages",
        "Messages that wait to be delivered.",
        [(own, f"{outcome.measures[QUEUE]:.0f}")] if QUEUE in outcome.measures else [],
    )


def _gauge(name: str, text: str, samples: Iterable[tuple[Mapping[str, str], str]]) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"{name}{{{inside}}} {value}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
