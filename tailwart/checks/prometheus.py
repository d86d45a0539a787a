"""An outcome for node_exporter's textfile collector, in the text format of Prometheus (version 0.0.4). Pure.

One sample a check and host: 1 passed, 0 failed, -1 could not look. What does not apply has none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tailwart.checks.doctor import Outcome
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
    yield "# HELP tailwart_check Result of a check: 1 passed, 0 failed, -1 could not look."
    yield "# TYPE tailwart_check gauge"
    for item in outcome.results:
        if item.verdict in _VALUES:
            labels = {
                "domain": domain,
                "id": item.check.id,
                "host": item.host,
                "severity": item.check.severity.value,
            }
            text = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
            yield f"tailwart_check{{{text}}} {_VALUES[item.verdict]}"
    label = f'{{domain="{_escaped(domain)}"}}'
    yield "# HELP tailwart_doctor_timestamp_seconds When the checks were run."
    yield "# TYPE tailwart_doctor_timestamp_seconds gauge"
    yield f"tailwart_doctor_timestamp_seconds{label} {outcome.began.timestamp():.0f}"
    yield "# HELP tailwart_doctor_duration_seconds How long the checks took."
    yield "# TYPE tailwart_doctor_duration_seconds gauge"
    yield f"tailwart_doctor_duration_seconds{label} {outcome.seconds:.3f}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
