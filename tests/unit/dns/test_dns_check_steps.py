"""`dns check` about the next step of DMARC and MTA-STS: by our own snapshots, and by reports that arrived."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwart.dns import reports
from tailwart.dns.archive import Archive
from tailwart.dns.check import steps
from tailwart.dns.check.findings import Finding, State
from tailwart.dns.ownership import Ledger
from tailwart.dns.reports import Reports
from tailwart.errors import TailwartError
from tailwart.providers.record import Record, record

ZONE = "example.org"
START = datetime(2026, 11, 1, tzinfo=UTC)


def at(step: str, rua: str = "; rua=mailto:postmaster@example.org") -> Record:
    return record(ZONE, "_dmarc", "TXT", f"v=DMARC1; p={step}{rua}", 3600)


def archived(path: Path, *days: tuple[int, Record | None]) -> Archive:
    """Snapshots of the zone at these days after the start."""
    for day, entry in days:
        Archive(path, lambda day=day: START + timedelta(days=day)).save(ZONE, [entry] if entry else [])  # type: ignore[misc]
    return Archive(path)


def ours(step: str) -> Ledger:
    return Ledger(frozenset({at(step).key}))


@pytest.mark.parametrize(
    ("days", "ledger", "expected"),
    [
        # Our own apply: its snapshot is taken just before the write.
        (((0, None),), ours("none"), 0),
        (((0, None), (3, at("none")), (9, at("none"))), ours("none"), 0),
        (((0, at("none")), (5, at("quarantine"))), ours("quarantine"), 0),
        # An owner's own record: known from the first snapshot that has it.
        (((0, None), (3, at("none")), (9, at("none"))), Ledger(), 3),
        (((0, None),), Ledger(), None),
        ((), ours("none"), None),
    ],
)
def test_the_age_of_a_step_is_known_from_snapshots(
    tmp_path: Path, days: tuple[tuple[int, Record | None], ...], ledger: Ledger, expected: int | None
) -> None:
    step = "quarantine" if ledger == ours("quarantine") else "none"
    found = steps.since(archived(tmp_path, *days), ZONE, ledger, step)
    assert found == (None if expected is None else START + timedelta(days=expected))


def told(entry: Record, begun: datetime | None, found: dict[str, Reports] | None, day: float = 30) -> Finding:
    served = {("_dmarc", "TXT"): [entry]}
    (finding,) = steps.check(ZONE, served, begun, found, START + timedelta(days=day))
    assert not finding.required
    return finding


def test_a_young_step_says_when_the_next_is_due() -> None:
    finding = told(at("none"), START, {}, day=3)
    assert finding.state is State.OK
    assert "quarantine is due on 2026-11-15" in finding.detail
    assert "no report has arrived" in finding.detail


def test_an_old_step_with_clean_reports_gives_the_line_for_the_next() -> None:
    finding = told(at("quarantine"), START, {ZONE: Reports(dmarc=7, messages=1000, failing=3)})
    assert finding.state is State.WRONG
    assert 'dns_dmarc = {"example.org": "reject"}' in finding.remedy
    assert "3 of 1000 messages fail in 7 reports" in finding.detail


def test_an_old_step_with_failing_reports_names_who_sent() -> None:
    failing = Reports(dmarc=7, messages=100, failing=40, sources=(("192.0.2.77", 40),))
    finding = told(at("none"), START, {ZONE: failing})
    assert finding.state is State.WRONG
    assert "192.0.2.77 (40)" in finding.remedy


def test_what_is_not_known_is_said_and_nothing_is_recommended_without_an_age() -> None:
    finding = told(at("none"), None, None)
    assert finding.state is State.UNKNOWN
    assert "dns snapshot" in finding.remedy
    assert "cannot be asked for reports" in finding.detail
    assert "asks nobody for reports" in told(at("none", rua=""), START, {}).detail


def test_the_last_step_needs_nothing_and_two_records_are_no_step() -> None:
    assert told(at("reject"), None, {}).state is State.OK
    both = {("_dmarc", "TXT"): [at("none"), at("reject")]}
    assert list(steps.check(ZONE, both, START, {}, START)) == []


def test_tls_reports_decide_about_mta_sts() -> None:
    def states(found: Reports) -> list[State]:
        return [finding.state for finding in steps.check_tls(ZONE, {ZONE: found})]

    assert states(Reports(tls=3, sessions=900)) == [State.OK]
    assert states(Reports(tls=3, sessions=900, failed_sessions=2)) == [State.WRONG]
    assert states(Reports()) == [State.OK]
    assert list(steps.check_tls(ZONE, None)) == []


def dmarc_report(domain: str, *rows: tuple[int, str, str, str]) -> dict[str, Any]:
    """A report as the server's schema describes it (`x:DmarcExternalReport`)."""
    records = {
        str(place): {"count": count, "evaluatedDkim": dkim, "evaluatedSpf": spf, "sourceIp": address}
        for place, (count, dkim, spf, address) in enumerate(rows)
    }
    return {"id": "a", "from": "noreply@reports.example", "report": {"policyDomain": domain, "records": records}}


def test_reports_are_summed_by_domain_and_source() -> None:
    dmarc = [
        dmarc_report(ZONE, (10, "pass", "fail", "192.0.2.1"), (4, "fail", "fail", "192.0.2.7")),
        dmarc_report("Example.ORG.", (1, "fail", "fail", "192.0.2.7"), (2, "fail", "unspecified", "192.0.2.8")),
        dmarc_report("example.net", (5, "fail", "pass", "192.0.2.9")),
    ]
    tls = [{"report": {"policies": [{"policyDomain": ZONE, "totalFailedSessions": 2, "totalSuccessfulSessions": 8}]}}]
    found = reports.summed(dmarc, tls)
    assert found[ZONE] == Reports(2, 17, 7, (("192.0.2.7", 5), ("192.0.2.8", 2)), tls=1, sessions=10, failed_sessions=2)
    assert found["example.net"].failing == 0


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda each: (
        st.lists(each, max_size=3)
        | st.dictionaries(
            st.sampled_from(["report", "records", "policies", "policyDomain", "count", "0"]), each, max_size=4
        )
    ),
    max_leaves=15,
)


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["report", "id"]), _ANY, max_size=2), max_size=3))
def test_reports_of_any_form_are_read_without_a_failure(items: list[dict[str, Any]]) -> None:
    assert all(found.messages >= found.failing >= 0 for found in reports.summed(items, items).values())


def test_a_server_that_cannot_be_asked_gives_no_reports() -> None:
    class Silent:
        def exchange(self, bodies: list[str]) -> list[Any]:
            raise TailwartError("the mail server is not reachable")

    assert reports.over(Silent())() is None  # type: ignore[arg-type]
    assert reports.unknown() is None
