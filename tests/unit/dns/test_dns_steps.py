"""DMARC in steps: a new domain starts at `none`, an owner's record stays, a step is taken when it is asked for."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwart.dns import dmarc
from tailwart.dns.desired import desire
from tailwart.dns.intent import EdgeAddresses, Intent
from tailwart.dns.overrides import from_data
from tailwart.dns.ownership import Ledger
from tailwart.dns.zoneplan import ZonePlan, compare
from tailwart.errors import TailwartError
from tailwart.providers.record import Record, record
from tests.unit.dns.bench import Bench
from tests.unit.dns.names import Knot
from tests.unit.dns.recorded import PLAIN, ZONE

EDGE = EdgeAddresses("edge-1", IPv4Address("198.51.100.11"))
SERVERS = f"v=DMARC1; p=reject; rua=mailto:postmaster@{ZONE}"
OWN = "v=DMARC1; p=quarantine; pct=20; rua=mailto:me@example.net; sp=reject"


def plan(live: list[str], ledger: tuple[str, ...] = (), **data: object) -> ZonePlan:
    intent = Intent(ZONE, ZONE, edges=(EDGE,), zone_text=PLAIN, overrides=from_data(data))
    standing = [record(ZONE, "_dmarc", "TXT", text, 3600) for text in live]
    return compare(desire(intent), standing, Ledger(frozenset(("_dmarc", "TXT", text) for text in ledger)))


def outcome(made: ZonePlan) -> list[str]:
    return [entry.value for entry in made.final if entry.name == "_dmarc"]


def test_a_domain_without_a_record_starts_at_none_with_the_servers_reports() -> None:
    assert SERVERS in PLAIN
    assert outcome(plan([])) == [f"v=DMARC1; p=none; rua=mailto:postmaster@{ZONE}"]


def test_a_published_policy_is_kept_when_nothing_is_asked_for() -> None:
    made = plan([SERVERS], (SERVERS,))
    assert outcome(made) == [SERVERS]
    assert not [entry for entry in [*made.puts, *made.deletes] if entry.name == "_dmarc"]


def test_a_vanished_record_of_ours_comes_back_at_its_step() -> None:
    assert outcome(plan([], (SERVERS,))) == [SERVERS]


@pytest.mark.parametrize("own", [OWN, "v=DMARC1;p=reject", "v=DMARC1; p=none; adkim=s"])
def test_an_owners_own_record_is_neither_loosened_nor_tightened(own: str) -> None:
    made = plan([own])
    assert outcome(made) == [own]
    assert not [entry for entry in [*made.puts, *made.deletes] if entry.name == "_dmarc"]


def test_a_step_that_is_asked_for_changes_the_step_alone_and_is_said() -> None:
    made = plan([OWN], dns_dmarc="reject")
    assert outcome(made) == [OWN.replace("p=quarantine", "p=reject", 1)]
    assert any("changes from quarantine to reject" in warning for warning in made.plan.warnings)


def test_steps_can_differ_by_domain_and_a_wrong_one_is_refused() -> None:
    chosen = from_data({"dns_dmarc": {ZONE: "quarantine", "*": "none"}})
    assert [chosen.dmarc_step(each) for each in (ZONE, "example.net")] == ["quarantine", "none"]
    for wrong in ("strict", {"example.org": "p=reject"}, 3):
        with pytest.raises(TailwartError, match="dns_dmarc"):
            from_data({"dns_dmarc": wrong})


def test_dns_records_decide_alone() -> None:
    made = plan([SERVERS], (SERVERS,), dns_records={"_dmarc TXT": "v=DMARC1; p=none"}, dns_dmarc="reject")
    assert outcome(made) == ["v=DMARC1; p=none"]


_STEP = st.sampled_from(dmarc.STEPS)
_OWN = st.builds(
    "v=DMARC1{}p{}={}{}".format,
    st.sampled_from([";", " ; ", "; "]),
    st.sampled_from(["", " "]),
    _STEP,
    st.sampled_from(["", ";", "; sp=none; rua=mailto:a@b.example", ";pct=3"]),
)


@settings(deadline=None)
@given(st.lists(_OWN, max_size=3), st.none() | _STEP)
def test_the_step_is_the_one_asked_for_else_never_stricter_than_what_stood(
    standing: list[str], asked: str | None
) -> None:
    text = dmarc.merged(SERVERS, standing, asked=asked)
    softest = min((dmarc.step(each) for each in standing), key=dmarc.STEPS.index, default="none")
    assert dmarc.step(text) == (asked or softest)
    assert dmarc.merged(SERVERS, [text], asked=asked) == text, "a second run changes nothing"


def test_the_steps_are_climbed_on_a_real_server(rfc2136: Bench, knot: Knot) -> None:
    seen = []
    for asked in ({}, {"dns_dmarc": "quarantine"}, {}, {"dns_dmarc": "reject"}):
        rfc2136.with_overrides(**asked).apply()
        (text,) = knot.texts(f"_dmarc.{rfc2136.zone}")
        seen.append(dmarc.step(text))
    assert seen == ["none", "quarantine", "quarantine", "reject"]


def test_a_record_without_a_policy_gets_one_behind_its_version() -> None:
    assert dmarc.at_step("v=DMARC1; rua=mailto:a@b.example", "none") == "v=DMARC1; p=none; rua=mailto:a@b.example"
    assert not dmarc.is_dmarc(Record("x", "TXT", "v=DMARC10; p=none").value)


def test_an_owners_record_is_still_the_owners_at_the_next_run() -> None:
    own = Record("_dmarc", "TXT", "v=DMARC1; p=none; rua=mailto:me@example.net", 3600)
    desired = desire(Intent(ZONE, ZONE, edges=(EDGE,), zone_text=PLAIN))
    first = compare(desired, [own], Ledger())
    assert own in first.final
    assert not compare(desired, first.final, first.ours)
