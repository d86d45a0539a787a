"""SPF: nothing of the owner's is lost in silence, look-ups are counted with ours, flattening only on request."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tailwart.cli.dns import dns
from tailwart.dns import spf, spfcost, spfflat
from tailwart.dns.desired import desire
from tailwart.dns.guards import check
from tailwart.dns.intent import EdgeAddresses, Intent
from tailwart.dns.overrides import from_data
from tailwart.dns.ownership import Ledger
from tailwart.dns.zoneplan import ZonePlan, compare
from tailwart.errors import TailwartError
from tailwart.providers.record import APEX, Record
from tests.unit.dns.recorded import PLAIN, ZONE

EDGE = EdgeAddresses("edge-1", IPv4Address("198.51.100.11"))
ACCEPTED = range(60, 3601)
OURS = "v=spf1 mx ip4:198.51.100.25 -all"


def planned(*live: str, ledger: Ledger | None = None, **data: object) -> ZonePlan:
    intent = Intent(ZONE, ZONE, edges=(EDGE,), zone_text=PLAIN, spf_terms=("ip4:198.51.100.25",),
                    overrides=from_data(data))  # fmt: skip
    return compare(desire(intent), [Record(APEX, "TXT", text) for text in live], ledger or Ledger())


def merged(plan: ZonePlan) -> str:
    (text,) = [entry.value for entry in plan.final if entry.name == APEX and spf.is_spf(entry.value)]
    return text


def guarded(plan: ZonePlan, texts: dict[str, list[str]] | None = None) -> tuple[str, ...]:
    return check(plan, (texts or {}).get, ACCEPTED)


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ("v=spf1 redirect=_spf.vendor.example", "v=spf1 mx ip4:198.51.100.25 redirect=_spf.vendor.example"),
        ("v=spf1 include:x.example +all", "v=spf1 mx ip4:198.51.100.25 include:x.example +all"),
        (
            "v=spf1 exists:%{i}._spf.%{d} include:%{D2}.V.example ?all",
            "v=spf1 mx ip4:198.51.100.25 exists:%{i}._spf.%{d} include:%{D2}.V.example ?all",
        ),
        ("v=spf1 mx mx a A ~all", "v=spf1 mx ip4:198.51.100.25 a ~all"),
        ("v=spf1 include:x.example ~include:x.example -all",
         "v=spf1 mx ip4:198.51.100.25 include:x.example ~include:x.example -all"),
        ("v=spf1 -all exp=why.%{d} ra=postmaster", "v=spf1 mx ip4:198.51.100.25 -all exp=why.%{d} ra=postmaster"),
        ("v=spf1 a redirect=void.example -all", "v=spf1 mx ip4:198.51.100.25 a -all redirect=void.example"),
    ],
)  # fmt: skip
def test_what_the_owner_wrote_is_kept(theirs: str, expected: str) -> None:
    plan = planned(theirs)
    assert merged(plan) == expected
    guarded(plan)
    again = planned(merged(plan), ledger=plan.ours)
    assert merged(again) == expected, "and stays so"


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        (["v=spf1 redirect=one.example redirect=two.example"], "only one redirect="),
        (["v=spf1 redirect=one.example", "v=spf1 redirect=two.example"], "only one redirect="),
        (["v=spf1 exp=one.example -all", "v=spf1 exp=two.example -all"], "only one exp="),
        (["v=spf1 redirect=one.example", "v=spf1 a ~all"], "which would void it"),
        (["v=spf1 +include=x.example -all"], "does not know"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_reason(theirs: list[str], reason: str) -> None:
    with pytest.raises(TailwartError) as refused:
        guarded(planned(*theirs))
    assert reason in str(refused.value)
    assert "dns_spf_remove" in refused.value.remedy


def test_a_refused_term_can_be_taken_out() -> None:
    plan = planned("v=spf1 redirect=one.example", "v=spf1 a ~all", dns_spf_remove=["redirect=one.example"])
    guarded(plan)
    assert merged(plan) == "v=spf1 mx ip4:198.51.100.25 a ~all"
    assert merged(planned("v=spf1 +all", dns_spf_remove=["+all"])) == OURS


def test_everybody_and_terms_behind_all_are_said() -> None:
    assert any("+all lets everybody send" in text for text in guarded(planned("v=spf1 all")))
    assert any("a stood behind `all`" in text for text in guarded(planned("v=spf1 -all a")))


def test_a_term_that_the_owner_had_before_us_stays_when_we_drop_it() -> None:
    theirs = "v=spf1 include:shared.example ip4:198.51.100.25 ~all"
    first = planned(theirs, dns_spf=["include:shared.example", "include:ours.example"])
    later = planned(merged(first), ledger=first.ours)
    assert merged(later) == "v=spf1 mx ip4:198.51.100.25 include:shared.example ~all"


@pytest.mark.parametrize(
    "theirs", [["v=spf1 a -all", "v=spf1 include:x.example ~all"], ["v=spf1 redirect=x.example"], ["v=spf1 a ?all"]]
)
def test_one_run_is_enough(theirs: list[str]) -> None:
    first = planned(*theirs)
    later = planned(merged(first), ledger=first.ours)
    assert later.ours == first.ours, "what is ours does not depend on how often it was published"


@given(st.lists(st.sampled_from(
    ["mx", "a", "include:x.example", "~include:y.example", "exists:%{i}.z.example", "ptr", "redirect=r.example", "-all",
     "~all", "+all", "exp=e.example", "ra=x"]), max_size=7))  # fmt: skip
def test_no_term_is_lost_in_silence(terms: list[str]) -> None:
    theirs = " ".join(["v=spf1", *terms])
    plan = planned(theirs)
    try:
        guarded(plan)
    except TailwartError:
        return
    after = merged(plan)
    assert {t for t in spf.same_terms(theirs) if not t.endswith("all")} <= spf.same_terms(after)
    alls = [term for term in spf.terms(theirs) if spf.name_of(term) == "all"]
    assert not alls or any(term in after for term in alls)


@pytest.mark.parametrize(
    ("data", "lost"),
    [
        ({"dns_records": {"@ TXT": "google-site-verification=abc"}}, "no SPF record would be left"),
        ({"dns_records": {"@ TXT": []}}, "no SPF record would be left"),
        ({"dns_records": {"@ TXT": "v=spf1 mx -all"}}, "lacks ip4:198.51.100.25"),
        ({"dns_records": {"_dmarc TXT": "hello"}}, "no DMARC record would be left"),
        ({"dns_records": {"mail TXT": "hello"}}, "no SPF record would be left"),
    ],
)
def test_records_that_would_replace_spf_or_dmarc_need_a_word(data: dict[str, Any], lost: str) -> None:
    with pytest.raises(TailwartError) as refused:
        guarded(planned("v=spf1 a -all", **data))
    assert lost in str(refused.value)
    key = next(iter(data["dns_records"]))
    assert f'dns_allow_replacing = ["{key}"]' in str(refused.value)
    guarded(planned("v=spf1 a -all", **data, dns_allow_replacing=[key]))


@pytest.mark.parametrize(
    "data",
    [
        {"_dmarc TXT": "v=DMARC1; p=none"},
        {"@ TXT": ["v=spf1 mx ip4:198.51.100.25 -all", "google-site-verification=abc"]},
        {"www TXT": "hello"},
    ],
)
def test_records_that_keep_what_mail_needs_are_taken(data: dict[str, str]) -> None:
    guarded(planned(dns_records=data))


TEXTS = {
    "one.example": ["v=spf1 include:two.example ip4:192.0.2.0/25 ip4:192.0.2.128/25 ?all"],
    "two.example": ["v=spf1 a:host.example mx:two.example ip6:2001:db8::/32 redirect=three.example"],
    "three.example": ["v=spf1 ip4:203.0.113.9 -all"],
    "empty.example": [],
    "text.example": ["hello"],
    "macro.example": ["v=spf1 exists:%{i}.x.example -all"],
    "minus.example": ["v=spf1 -ip4:192.0.2.1 ip4:192.0.2.0/24 -all"],
    "open.example": ["v=spf1 +all"],
}
DATA = {
    ("host.example", "A"): ["192.0.2.77"],
    ("host.example", "AAAA"): [],
    ("two.example", "MX"): ["10 mx.two.example."],
    ("mx.two.example", "A"): ["198.51.100.7"],
    ("mx.two.example", "AAAA"): ["2001:db8::7"],
}


def data(name: str, rtype: str) -> list[str] | None:
    return DATA.get((name, rtype), [])


def test_look_ups_and_void_look_ups_are_counted_with_includes_and_redirects() -> None:
    found = spfcost.cost(
        "v=spf1 include:one.example a:nowhere.example mx exists:%{i}.x ptr -all", TEXTS.get, data, ZONE
    )
    assert found.lookups == 1 + 1 + 2 + 1 + 1 + 1 + 1 + 1  # one → two → a, mx, redirect; then a, mx, exists, ptr
    assert found.voids == 2, "a:nowhere.example and this domain's own mx"
    assert dict(found.includes) == {"one.example": 5}
    assert spfcost.cost("v=spf1 redirect=three.example", TEXTS.get, data).lookups == 1
    assert spfcost.cost("v=spf1 -all redirect=three.example", TEXTS.get, data).lookups == 0
    assert spfcost.cost("v=spf1 include:text.example -all", TEXTS.get, data).broken == (
        "text.example has no SPF record",
    )
    assert spfcost.cost("v=spf1 include:x.example -all", lambda _: None, data).unknown == ("x.example",)


def test_void_look_ups_are_refused_and_ours_count_as_the_zone_will_be() -> None:
    texts = {**TEXTS, **{f"void{n}.example": [] for n in range(3)}}
    plan = planned("v=spf1 " + " ".join(f"include:void{n}.example" for n in range(3)) + " -all")
    with pytest.raises(TailwartError, match="3 void look-ups"):
        guarded(plan, texts)
    # `mx` and `a` of the new zone lead to names that this very plan publishes: no resolver has to know them yet.
    fine = planned("v=spf1 a:nowhere.example -all")
    check(fine, TEXTS.get, ACCEPTED, answers=data)


def test_the_questions_for_one_record_are_bounded() -> None:
    asked: list[str] = []

    def endless(name: str) -> list[str]:
        asked.append(name)
        return ["v=spf1 " + " ".join(f"include:{n}.{name}" for n in range(10)) + " -all"]

    assert spfcost.cost("v=spf1 include:x.example -all", endless, data).lookups > spfcost.MAX_LOOKUPS
    assert len(asked) <= 40


def test_flattening_gives_networks_and_says_what_it_cannot() -> None:
    others = [f"include:{name}.example" for name in ("macro", "minus", "open", "text")]
    text = " ".join(["v=spf1 mx include:one.example", *others])
    flat = spfflat.flatten(text, TEXTS.get, data)
    assert flat.replaced == {
        "include:one.example": (
            "ip4:192.0.2.0/24", "ip4:198.51.100.7", "ip4:203.0.113.9", "ip6:2001:db8::/32"
        )
    }  # fmt: skip
    assert set(flat.kept) == set(others)
    assert "depends on the order" in flat.kept["include:minus.example"]
    assert "everybody" in flat.kept["include:open.example"]


def test_the_command_counts_and_flattens_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "env").write_text(
        "DOMAIN=example.org\nTS_TAILNET=t.ts.net\nDNS_PROVIDER=none\nSMARTHOST_SPF=include:three.example\n"
    )
    (tmp_path / "env").chmod(0o600)
    (tmp_path / "group_data").mkdir()
    (tmp_path / "group_data" / "dns.py").write_text('dns_spf = ["include:one.example"]\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAILWART_ENV", str(tmp_path / "env"))
    asked = {**TEXTS, "example.org": ["v=spf1 ip4:192.0.2.200 ~all"]}
    monkeypatch.setattr("tailwart.dns.plane.Plane.txt", lambda _, name: asked.get(name))
    monkeypatch.setattr("tailwart.dns.plane.Plane.data", lambda _, name, rtype: data(name, rtype))
    plain = CliRunner().invoke(dns, ["spf"])
    assert "7 of 10 look-ups" in plain.output
    assert "ip4:192.0.2.200" in plain.output, "the owner's own terms count"
    assert "ip4:192.0.2.0/24" not in plain.output
    flat = CliRunner().invoke(dns, ["spf", "--flatten"]).output
    assert 'dns_spf = ["ip4:203.0.113.9", "ip4:192.0.2.0/24"' in flat
    assert "take include:three.example out of SMARTHOST_SPF" in flat
    assert "Nothing was changed" in flat
    (document,) = json.loads(CliRunner().invoke(dns, ["spf", "--json"]).stdout)
    assert (document["zone"], document["lookups"]) == ("example.org", 7)
