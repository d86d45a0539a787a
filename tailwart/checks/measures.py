"""Numbers of the server at one moment: the length of its queue, and counters of its Prometheus page. Pure.

The page has no length of the queue, counters appear at their first event, and the buckets of its histograms are not
cumulative, so that no quantile can be made of them. What is kept here are names of our own: a page of another release
that names something else leaves a gap and breaks nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

QUEUE = "queue"
COUNTERS: Mapping[str, tuple[str, ...]] = {
    "received": ("queue_message_queued",),
    "submitted": ("queue_authenticated_message_queued",),
    "stored": ("message_ingest_ham", "message_ingest_spam"),
    "delivered": ("delivery_delivered",),
    "deferred": ("queue_rescheduled",),
    "bounced": ("delivery_dsn_perm_fail",),
}
"""Our names of what only grows while the server runs, with the metrics whose sum it is."""

# A line of the text format 0.0.4; what stands in labels is not needed, a time at the end neither.
_SAMPLE = re.compile(r"^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{.*\})? +(\S+)(?: +-?\d+)?$")


def parse(text: str) -> dict[str, float]:
    """Every sample of the server's page by its metric's name, summed over labels; what is no sample is skipped."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if match := _SAMPLE.match(line.strip()):
            try:
                value = float(match[2])
            except ValueError:
                continue
            found[match[1]] = found.get(match[1], 0.0) + value
    return found


def counters(page: Mapping[str, float]) -> dict[str, float]:
    """Our counters of a page that was read; a metric that it does not have yet has counted nothing."""
    return {name: sum(page.get(metric, 0.0) for metric in metrics) for name, metrics in COUNTERS.items()}
