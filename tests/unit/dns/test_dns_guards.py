"""Plans that must not be carried out, and AAAA records that must not be published."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwart.dns import spf, spfcost
from tailwart.dns.desired import desire
from tailwart.dns.guards import check
from tailwart.dns.intent import EdgeAddresses, Intent
from tailwart.dns.overrides import from_data
from tailwart.dns.ownership import Ledger
from tailwart.dns.reachability import Attempt, Reach, Vantage, judge
from tailwart.dns.zonefile import parse, render
from tailwart.dns.zoneplan import ZonePlan, compare
from tailwart.errors import TailwartError
from tailwart.providers.record import APEX, Record, record, strings
from tailwart.providers.spaceship import PROVIDER
from tests.unit.dns.recorded import PLAIN, WITH_CERTIFICATE, ZONE

ACCEPTED = PROVIDER.ttl
EDGE = EdgeAddresses("edge-1", IPv4Address("198.51.100.11"), IPv6Address("2001:db8::11"), https=True)


def plan(*live: Record, intent: Intent | None = None) -> ZonePlan:
    """A plan for the recorded zone against live records."""
    return compare(desire(intent or Intent(ZONE, ZONE, edges=(EDGE,), zone_text=PLAIN)), live, Ledger())


def test_a_foreign_cname_in_the_way_is_named() -> None:
    live = record(ZONE, "_dmarc", "CNAME", "dmarc.vendor.example.", 3600)
    with pytest.raises(TailwartError, match="CNAME beside other data") as refused:
        check(plan(live), lambda _: None, ACCEPTED)
    assert 'dns_exclude = ["_dmarc *"]' in str(refused.value)


def test_a_wanted_cname_beside_foreign_data_is_refused() -> None:
    live = record(ZONE, "webmail", "TXT", "something", 3600)
    chosen = from_data({"dns_records": {"webmail CNAME": f"mail.{ZONE}."}})
    intent = Intent(ZONE, ZONE, edges=(EDGE,), zone_text=PLAIN, overrides=chosen)
    with pytest.raises(TailwartError, match="webmail"):
        check(plan(live, intent=intent), lambda _: None, ACCEPTED)


def test_more_than_ten_lookups_are_refused_with_the_heaviest_named() -> None:
    intent = Intent(ZONE, ZONE, edges=(EDGE,), zone_text=PLAIN, spf_terms=("include:big.example",))
    texts = {"big.example": ["v=spf1 " + " ".join(f"a:h{n}.example" for n in range(10)) + " -all"]}
    with pytest.raises(TailwartError, match="12 look-ups") as refused:
        check(plan(intent=intent), texts.get, ACCEPTED)
    assert "big.example costs 11" in str(refused.value)


def test_an_include_loop_is_refused() -> None:
    texts = {"a.example": ["v=spf1 include:b.example"], "b.example": ["v=spf1 include:a.example"]}
    assert spfcost.cost("v=spf1 include:a.example -all", texts.get).lookups > spfcost.MAX_LOOKUPS


def test_a_second_dmarc_goes_and_the_policy_change_is_a_warning() -> None:
    asked = Intent(ZONE, ZONE, edges=(EDGE,), zone_text=PLAIN, overrides=from_data({"dns_dmarc": "reject"}))
    made = plan(
        record(ZONE, "_dmarc", "TXT", "v=DMARC1; p=none; rua=mailto:me@example.net", 3600),
        record(ZONE, "_dmarc", "TXT", "v=DMARC1; p=quarantine", 3600),
        intent=asked,
    )
    check(made, lambda _: None, ACCEPTED, allow_deletions=True)
    assert sum(entry.name == "_dmarc" for entry in made.final) == 1
    assert any("changes from none to reject" in warning for warning in made.plan.warnings)


@pytest.mark.parametrize("ttl", [0, 59, 3601, 86400])
def test_a_ttl_out_of_range_is_refused(ttl: int) -> None:
    with pytest.raises(TailwartError, match="TTL"):
        check(plan(intent=Intent(ZONE, ZONE, ttl=ttl, edges=(EDGE,), zone_text=PLAIN)), lambda _: None, ACCEPTED)


def test_an_ed25519_key_of_the_server_is_not_published() -> None:
    text = PLAIN + 'v1-ed25519-20261120._domainkey.example.org. IN TXT "v=DKIM1; k=ed25519; p=abc="\n'
    wanted = desire(Intent(ZONE, ZONE, edges=(EDGE,), zone_text=text))
    assert not any("ed25519" in entry.name for entry in wanted.records)
    assert any("lesson 15" in warning for warning in wanted.warnings)


def test_the_recorded_zone_with_a_certificate_has_dane_only_on_demand() -> None:
    intent = Intent(ZONE, ZONE, edges=(EDGE,), zone_text=WITH_CERTIFICATE)
    assert not any(entry.type == "TLSA" for entry in desire(intent).records)
    chosen = Intent(ZONE, ZONE, edges=(EDGE,), zone_text=WITH_CERTIFICATE, overrides=from_data({"dns_tlsa": True}))
    ports = {entry.name.partition(".")[0] for entry in desire(chosen).records if entry.type == "TLSA"}
    assert ports == {"_25", "_465", "_993"}, "443 and 995 are not served"


def test_caa_names_the_ca_and_the_account() -> None:
    intent = Intent(
        ZONE,
        ZONE,
        edges=(EDGE,),
        zone_text=PLAIN,
        acme_directory="https://acme-v02.api.letsencrypt.org/directory",
        account_uri="https://acme-v02.api.letsencrypt.org/acme/acct/1",
    )
    values = sorted(entry.value for entry in desire(intent).records if entry.type == "CAA")
    assert values == [
        f'0 {tag} "letsencrypt.org; accounturi=https://acme-v02.api.letsencrypt.org/acme/acct/1"'
        for tag in ("issue", "issuewild")
    ]


ACCOUNT = "https://acme-v02.api.letsencrypt.org/acme/acct/1"
# As a real server writes them once a domain orders its certificate by itself.
OF_ISSUANCE = f"""example.org. IN CAA 0 issue "letsencrypt.org;accounturi={ACCOUNT}"
example.org. IN CAA 0 iodef "mailto:postmaster@example.org"
_validation-persist.example.org. IN TXT "letsencrypt.org; accounturi={ACCOUNT}; policy=wildcard"
"""


@pytest.mark.parametrize("caa", [True, False])
def test_who_may_issue_is_not_taken_from_the_servers_text(caa: bool) -> None:
    intent = Intent(
        ZONE,
        ZONE,
        edges=(EDGE,),
        zone_text=PLAIN + OF_ISSUANCE,
        acme_directory="https://acme-v02.api.letsencrypt.org/directory",
        account_uri=ACCOUNT,
        overrides=from_data({"dns_caa": caa}),
    )
    found = desire(intent).records
    values = {entry.value for entry in found if entry.type == "CAA"}
    both = {f'0 {tag} "letsencrypt.org; accounturi={ACCOUNT}"' for tag in ("issue", "issuewild")}
    assert values == (both if caa else set())
    assert not [entry for entry in found if entry.name == "_validation-persist"]
    live = record(ZONE, "_validation-persist", "TXT", f"letsencrypt.org; accounturi={ACCOUNT}; policy=wildcard", 60)
    assert live in compare(desire(intent), [live], Ledger()).foreign, "what the server publishes itself stays"


def test_overrides_replace_and_exclude() -> None:
    chosen = from_data({"dns_records": {"_dmarc TXT": "v=DMARC1; p=none"}, "dns_exclude": ["_pop3s._tcp SRV"]})
    wanted = desire(Intent(ZONE, ZONE, edges=(EDGE,), zone_text=PLAIN, overrides=chosen)).records
    assert [entry.value for entry in wanted if entry.name == "_dmarc"] == ["v=DMARC1; p=none"]
    assert not any(entry.name == "_pop3s._tcp" for entry in wanted)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ({"dns_exlude": []}, "did you mean dns_exclude"),
        ({"dns_tlsa": "perhaps"}, "True or False"),
        ({"dns_exclude": ["mail"]}, "name TYPE"),
        ({"dns_records": ["x"]}, "name TYPE"),
    ],
)
def test_a_wrong_override_is_explained(data: dict[str, object], word: str) -> None:
    with pytest.raises(TailwartError) as refused:
        from_data(data)
    assert word in str(refused.value)


def vantage(label: str, *, v6: Reach, v4: Reach = Reach.ANSWERS, hosts: tuple[str, ...] = ()) -> Vantage:
    """A place that sees just that."""

    def connect(address: IPv4Address | IPv6Address, port: int) -> Attempt:
        assert port == 25
        return Attempt(v6 if address.version == 6 else v4, "refused")

    return Vantage(label, connect, frozenset(hosts))


@pytest.mark.parametrize(
    ("vantages", "publish", "unknown"),
    [
        ([vantage("here", v6=Reach.ANSWERS)], True, False),
        ([vantage("here", v6=Reach.SILENT)], False, False),
        ([vantage("here", v6=Reach.UNKNOWN), vantage("there", v6=Reach.ANSWERS)], True, False),
        ([vantage("here", v6=Reach.UNKNOWN), vantage("there", v6=Reach.SILENT)], False, False),
        ([vantage("filtered", v6=Reach.SILENT, v4=Reach.SILENT)], False, True),
        ([], False, True),
        ([vantage("the edge itself", v6=Reach.ANSWERS, hosts=("2001:db8::11",))], False, True),
    ],
)
def test_aaaa_only_where_every_edge_answers_from_outside(vantages: list[Vantage], publish: bool, unknown: bool) -> None:
    verdict = judge([EDGE], vantages)
    assert (verdict.publish, verdict.unknown) == (publish, unknown)
    assert publish or "edge-1" in verdict.reason


def test_an_edge_without_ipv6_does_not_hide_one_that_has_nothing_else() -> None:
    """Each family leads to the edges that have it: an edge with IPv6 alone is found by no other record."""
    alone = EdgeAddresses("edge-1", None, EDGE.ipv6)
    edges = [alone, EdgeAddresses("edge-2", IPv4Address("198.51.100.12"))]
    assert judge(edges, [vantage("here", v6=Reach.ANSWERS)]).publish
    assert not judge(edges, [vantage("here", v6=Reach.SILENT)]).publish
    assert not judge(edges[1:], [vantage("here", v6=Reach.ANSWERS)]).publish


def test_ignorance_neither_publishes_nor_removes_aaaa() -> None:
    live = record(ZONE, "mail", "AAAA", "2001:db8::11", 3600)
    unsure = Intent(ZONE, ZONE, edges=(EDGE,), zone_text=PLAIN, ipv6_withheld="no route", ipv6_unknown=True)
    made = plan(live, intent=unsure)
    assert live not in made.deletes
    assert not any(entry.type == "AAAA" for entry in made.puts)
    silent = Intent(ZONE, ZONE, edges=(EDGE,), zone_text=PLAIN, ipv6_withheld="connection refused")
    made = plan(live, intent=silent)
    assert live in made.deletes
    assert any("connection refused" in change.why for change in made.plan.changes)


def test_an_extra_domain_gets_the_web_names_but_no_mail_host() -> None:
    intent = Intent("example.net", ZONE, edges=(EDGE,), zone_text=PLAIN.replace("example.org.", "example.net."))
    wanted = desire(intent).records
    addressed = {entry.name for entry in wanted if entry.type == "A"}
    assert addressed == {"mta-sts", "autoconfig", "autodiscover", "ua-auto-config"}


def test_overrides_belong_to_the_zone_they_name() -> None:
    chosen = from_data(
        {"dns_records": {"_dmarc TXT": "v=DMARC1; p=none", "_dmarc.example.net. TXT": "v=DMARC1; p=reject"}}
    )
    assert chosen.replacements(ZONE, ZONE) == {("_dmarc", "TXT"): ("v=DMARC1; p=none",)}
    assert chosen.replacements("example.net", ZONE) == {("_dmarc", "TXT"): ("v=DMARC1; p=reject",)}


TERMS = st.sampled_from(
    ["mx", "a", "include:x.example", "ip4:192.0.2.1", "ip6:2001:db8::/32", "+a:y.example", "-all", "~all"]
)
RECORDS = st.lists(TERMS, max_size=6).map(lambda terms: " ".join(["v=spf1", *terms]))


_SENDER = re.compile(r"[+?~-]?(include|a|mx|ptr|ip4|ip6|exists)(?![a-z0-9=])", re.IGNORECASE)


@given(st.lists(RECORDS, min_size=1, max_size=4), st.lists(TERMS, max_size=3))
def test_merging_spf_loses_no_sender_and_is_stable(records: list[str], additions: list[str]) -> None:
    merged = spf.merge(records, additions)
    senders = {term for text in records for term in spf.terms(text) if _SENDER.match(term)}
    assert {term.removeprefix("+") for term in senders} <= spf.same_terms(merged)
    assert len(merged.split()) == len(set(merged.split()))
    assert merged.count("all") <= 1
    assert spf.merge([merged]) == merged
    assert spf.same_terms(spf.merge([merged, *records], additions)) == spf.same_terms(merged)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=1500))
def test_long_texts_are_cut_at_255_octets_and_come_back(text: str) -> None:
    parts = strings(text)
    assert all(0 < len(part) <= 255 for part in parts)
    assert b"".join(parts).decode() == text
    for part in parts:
        part.decode()
    written = render([Record("x", "TXT", text, 300)], ZONE)
    assert parse(written, ZONE, 60) == (Record("x", "TXT", text, 300),)


def test_a_zone_text_that_is_broken_is_named() -> None:
    with pytest.raises(TailwartError, match="zone file of example"):
        parse('a.example.org. IN TXT (\n "cut off', ZONE, 3600)


def test_a_text_with_directives_and_other_zones_is_read() -> None:
    text = "$ORIGIN example.org.\n$TTL 300\n@ IN MX 10 mail\nother.test. IN A 192.0.2.1\n"
    assert parse(text, ZONE, 3600) == (Record(APEX, "MX", "10 mail.example.org.", 300),)
