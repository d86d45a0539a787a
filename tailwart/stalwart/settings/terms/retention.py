"""What is removed by itself, and when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.protocol.values import TYPE
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.terms.fields import Duration, Term, TimeOfDay

_FIELDS = {
    "trash_and_junk": "expungeTrashAfter",
    "submissions": "expungeSubmissionsAfter",
    "received_reports": "holdMtaReportsFor",
    "invitations": "expungeSchedulingInboxAfter",
}


class RetentionTerms(Term):
    """Durations; None keeps for ever. `at`: when mailboxes are cleaned, every day."""

    trash_and_junk: Duration | None = None
    submissions: Duration | None = None
    received_reports: Duration | None = None
    invitations: Duration | None = None
    at: TimeOfDay | None = None


def objects(terms: RetentionTerms) -> Iterator[DesiredObject]:
    """The periods that the terms name."""
    fields: dict[str, Any] = {field: getattr(terms, name) for name, field in _FIELDS.items() if terms.gives(name)}
    if terms.at:
        fields["expungeSchedule"] = {TYPE: "Daily", "hour": terms.at.hour, "minute": terms.at.minute}
    if fields:
        yield DesiredObject("DataRetention", SINGLETON, fields)
