"""When the next step of DMARC and MTA-STS is due: how long a domain stands at this one, and what others report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from tailwart.dns import dmarc
from tailwart.dns.archive import Archive
from tailwart.dns.check.findings import Finding, ok, unknown, wrong
from tailwart.dns.ownership import Ledger
from tailwart.dns.reports import Reports
from tailwart.errors import TailwartError
from tailwart.providers.record import Record

AREA = "steps"
DUE = timedelta(days=14)
"""How long reports should be read at one step before the next."""

_SNAPSHOTS = 200
_PATIENCE = 0.02
"""Largest share of messages that may fail: forwarders and mailing lists always break some."""


def since(archive: Archive, zone: str, ledger: Ledger, step: str) -> datetime | None:
    """Since when the zone is at a step at least, as far as our snapshots know; None when they do not.

    The snapshot before the first one at this step was taken by the run that wrote it, if the record is ours: its time
    counts. Of an owner's own record only the time is known when it was first seen.
    """
    own = any(key[:2] == (dmarc.NAME, "TXT") and dmarc.step(key[2]) == step for key in ledger.records)
    seen: datetime | None = None
    for path in reversed(archive.snapshots(zone)[-_SNAPSHOTS:]):
        try:
            snapshot = archive.load(zone, path)
        except TailwartError:
            continue
        steps = [dmarc.step(text) for text in _policies(snapshot.records)]
        if steps != [step]:
            return snapshot.taken if own else seen
        seen = snapshot.taken
    return seen


def check(
    zone: str,
    served: Mapping[tuple[str, str], Sequence[Record]],
    begun: datetime | None,
    reports: Mapping[str, Reports] | None,
    now: datetime | None = None,
) -> Iterator[Finding]:
    """Findings about the steps of one zone. ``begun`` as `since` says; ``reports`` None when they cannot be read."""
    policies = _policies(served.get((dmarc.NAME, "TXT"), ()))
    if len(policies) != 1:
        return  # said with the records
    step = dmarc.step(policies[0])
    told = (reports or {}).get(zone, Reports())
    known = "the server cannot be asked for reports"
    if reports is not None:
        known = _known(told, asked="rua" in dmarc.tags(policies[0]))
    if step == dmarc.STEPS[-1]:
        yield ok(AREA, zone, f"DMARC is at {step}, the last step; {known}", required=False)
        return
    following = dmarc.STEPS[dmarc.STEPS.index(step) + 1]
    edit = f'set dns_dmarc = {{"{zone}": "{following}"}} in group_data/dns.py, then `tailwart dns apply`'
    if begun is None:
        yield unknown(
            AREA,
            zone,
            f"DMARC is at {step}, since when no snapshot knows; {known}",
            remedy="`tailwart dns snapshot` starts the clock",
            required=False,
        )
        return
    at = f"DMARC is at {step} since {begun:%Y-%m-%d}"
    due = begun + DUE
    if (now or datetime.now(UTC)) < due:
        yield ok(AREA, zone, f"{at}; {following} is due on {due:%Y-%m-%d}; {known}", required=False)
    elif told.failing > _PATIENCE * told.messages:
        shown = ", ".join(f"{address} ({count})" for address, count in told.sources)
        yield wrong(
            AREA,
            zone,
            f"{at}; {following} is due, but {known}",
            remedy=f"find out who {shown} is: a sender of yours needs DKIM or a place in SPF (dns_spf); else {edit}",
            required=False,
        )
    else:
        yield wrong(AREA, zone, f"{at}; {following} is due, and {known}", remedy=edit, required=False)


def check_tls(zone: str, reports: Mapping[str, Reports] | None) -> Iterator[Finding]:
    """What TLS reports say about MTA-STS, whose mode `policy.check` tells (RFC 8460)."""
    if reports is None:
        return
    told = reports.get(zone, Reports())
    if not told.tls:
        yield ok(
            AREA,
            zone,
            "no TLS report has arrived at this server (others send them to rua= of _smtp._tls)",
            required=False,
        )
    elif told.failed_sessions:
        yield wrong(
            AREA,
            zone,
            f"{told.failed_sessions} of {told.sessions} sessions failed in {told.tls} reports: leave it in testing",
            remedy="look at the certificate and the policy above; with mode enforce this mail would have been delayed",
            required=False,
        )
    else:
        yield ok(
            AREA,
            zone,
            f"none of {told.sessions} TLS sessions failed in {told.tls} reports: MTA-STS may enforce",
            required=False,
        )


def _known(told: Reports, *, asked: bool) -> str:
    if told.dmarc:
        return f"{told.failing} of {told.messages} messages fail in {told.dmarc} reports that arrived here"
    if not asked:
        return "the record asks nobody for reports (rua=)"
    return "no report has arrived at this server (rua= may lead elsewhere, or nobody sends any yet)"


def _policies(records: Sequence[Record]) -> list[str]:
    return [entry.value for entry in records if entry.rrset == (dmarc.NAME, "TXT") and dmarc.is_dmarc(entry.value)]
