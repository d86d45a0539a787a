"""Foreign records stay, whatever is planned, and a killed run is finished by the next: properties over random zones."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tailwart.dns.applying import apply
from tailwart.dns.archive import Archive
from tailwart.dns.desired import Desired, desire
from tailwart.dns.guards import check
from tailwart.dns.intent import EdgeAddresses, Intent
from tailwart.dns.overrides import from_data
from tailwart.dns.ownership import Ledger, is_spf
from tailwart.dns.zonefile import parse, render
from tailwart.dns.zoneplan import ZonePlan, compare
from tailwart.errors import TailwartError
from tailwart.network import Services
from tailwart.providers.record import APEX, Record, by_key
from tests.unit.dns.bench import ticking
from tests.unit.dns.memory import Memory
from tests.unit.dns.recorded import WITH_CERTIFICATE, ZONE

LABELS = st.sampled_from(
    ["www", "shop", "blog", "vpn", "git", "lists", "a.b", "_sip._tcp", "k1._domainkey", "old-mail"]
)
EVERYTHING = Services.parse("smtp,submissions,submission,imap,imaps,pop3s,sieve")
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=300)
V4 = st.integers(0, 2**32 - 1).map(IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(IPv6Address)


_TTL = st.integers(60, 3600)
_NUMBER = st.integers(0, 9)


def foreign() -> st.SearchStrategy[Record]:
    """A record that is none of ours: other names, or other purposes at the names that we use too."""
    acme = st.sampled_from(["_acme-challenge", "_validation-persist", "_acme-challenge.mail"])
    addresses = V4.map(str)
    return st.one_of(
        st.builds(Record, acme, st.just("TXT"), TEXTS, _TTL),
        st.builds(Record, st.just(APEX), st.just("TXT"), TEXTS.map("verification={}".format), _TTL),
        st.builds(Record, st.just(APEX), st.just("CAA"), _NUMBER.map('0 issue "ca{}.example"'.format), _TTL),
        st.builds(Record, LABELS, st.just("A"), addresses, _TTL, st.booleans()),
        st.builds(Record, LABELS, st.just("MX"), _NUMBER.map("10 mx{}.example.net.".format), _TTL),
        st.builds(Record, LABELS, st.just("TXT"), TEXTS.map("note {}".format), _TTL),
    )


@st.composite
def intents(draw: st.DrawFn) -> Intent:
    """What an installation may want: any edges, senders, switches, with and without the server."""
    edges = tuple(
        EdgeAddresses(f"edge-{number}", draw(V4), draw(st.none() | V6), draw(st.booleans()))
        for number in range(draw(st.integers(1, 3)))
    )
    selector = draw(st.sampled_from(["v1-rsa-20261120", "v1-rsa-20270101"]))
    text = draw(st.sampled_from([None, WITH_CERTIFICATE.replace("v1-rsa-20261120", selector)]))
    return Intent(
        ZONE,
        ZONE,
        ttl=draw(st.sampled_from([60, 300, 3600])),
        edges=edges,
        zone_text=text,
        spf_terms=tuple(draw(st.lists(st.sampled_from(["ip4:192.0.2.1", "include:spf.example.net", "a:x.example"])))),
        acme_directory="https://acme-v02.api.letsencrypt.org/directory",
        account_uri=draw(st.sampled_from([None, "https://acme.example/1", "https://acme.example/2"])),
        ipv6_withheld=draw(st.sampled_from(["", "edge-1 is silent"])),
        ipv6_unknown=draw(st.booleans()),
        overrides=from_data(
            {"dns_tlsa": draw(st.booleans()), "dns_exclude": draw(st.sampled_from([[], ["mail AAAA"]]))}
        ),
    )


@settings(max_examples=50)
@given(st.lists(foreign(), max_size=25), st.lists(intents(), min_size=1, max_size=5))
def test_foreign_records_survive_every_plan(others: list[Record], wishes: list[Intent]) -> None:
    zone = Memory(others)
    before = by_key(others)
    ledger = Ledger()
    for wish in wishes:
        plan = compare(desire(wish), zone.read(ZONE), ledger)
        assert not {entry.key for entry in [*plan.puts, *plan.deletes]} & set(before)
        zone.change(ZONE, plan.puts, plan.deletes)
        ledger = plan.ours if plan.complete else ledger
    for state in zone.history:
        assert {key: state.get(key) for key in before} == before


@settings(max_examples=50)
@given(st.lists(foreign(), max_size=10), intents())
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(others: list[Record], wish: Intent) -> None:
    zone = Memory(others)
    plan = compare(desire(wish), zone.read(ZONE), Ledger())
    zone.change(ZONE, plan.puts, plan.deletes)
    assert not compare(desire(wish), zone.read(ZONE), plan.ours)
    assert not compare(desire(wish), zone.read(ZONE), Ledger()), "the ledger may be lost"


@settings(max_examples=50)
@given(st.lists(foreign(), max_size=5), intents(), intents(), st.integers(0, 40))
def test_a_killed_run_is_finished_by_the_next(others: list[Record], first: Intent, second: Intent, steps: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        archive = Archive(Path(directory) / "_backup" / "dns", ticking())
        zone = Memory(others)
        _run(zone, desire(first), archive)
        has_records = {key[:2] for key in zone.records if key[:2] in {entry.rrset for entry in desire(second).records}}
        since = len(zone.history) - 1
        zone.steps_left = steps
        try:
            _run(zone, desire(second), archive)
        except InterruptedError:
            zone.steps_left = None
            _run(zone, desire(second), archive)
        plan = compare(desire(second), zone.read(ZONE), archive.ledger(ZONE))
        assert not plan, plan.plan
        spf = Counter(name for name, _, _ in (key for key in zone.records if is_spf(zone.records[key])))
        assert set(spf.values()) == {1}
        for state in zone.history[since:]:
            assert has_records <= {key[:2] for key in state} | {(APEX, "CAA")}


def _run(zone: Memory, desired: Desired, archive: Archive) -> ZonePlan:
    plan = compare(desired, zone.read(ZONE), archive.ledger(ZONE))
    if plan:
        apply(plan, zone, archive, nameservers=(), notify=lambda _: None)
    return plan


def test_web_names_that_no_edge_serves_are_removed_when_published_and_left_alone_otherwise() -> None:
    served = Intent(
        ZONE,
        ZONE,
        edges=(EdgeAddresses("edge-1", IPv4Address("198.51.100.11"), IPv6Address("2001:db8::11"), https=True),),
        zone_text=WITH_CERTIFICATE,
    )
    mail_only = replace(served, edges=(replace(served.edges[0], https=False),))
    foreign = [Record("autodiscover", "CNAME", "elsewhere.example."), Record("mta-sts", "A", "203.0.113.9")]
    zone = Memory(foreign)
    fresh = compare(desire(mail_only), zone.read(ZONE), Ledger())
    assert not set(fresh.deletes) & set(foreign), "not ours, and nothing of ours takes their place"
    zone = Memory([])
    first = compare(desire(served), zone.read(ZONE), Ledger())
    zone.change(ZONE, first.puts, first.deletes)
    for unknown in (False, True):
        later = compare(desire(replace(mail_only, ipv6_unknown=unknown)), zone.read(ZONE), first.ours)
        gone = {entry.rrset for entry in later.deletes}
        assert {("mta-sts", "A"), ("mta-sts", "AAAA"), ("autodiscover", "AAAA"), ("_mta-sts", "TXT")} <= gone
        assert not any(name == "mail" for name, _ in gone)


def test_a_locked_spf_is_refused_not_doubled() -> None:
    plan = compare(
        desire(Intent(ZONE, ZONE)), [Record(APEX, "TXT", "v=spf1 include:product -all", locked=True)], Ledger()
    )
    try:
        check(plan, lambda _: None, range(60, 3601))
    except TailwartError as error:
        assert error.lesson == 14
        assert "product of the provider" in str(error)
    else:
        raise AssertionError("two SPF records would be published")


MAIL_ONLY = EdgeAddresses("edge-1", IPv4Address("203.0.113.7"))


def test_names_that_no_edge_serves_are_the_owners() -> None:
    """A policy host or an autodiscover of another provider stays, where no edge serves :443."""
    theirs = (
        Record("mta-sts", "CNAME", "policies.example.net.", 3600),
        Record("_mta-sts", "TXT", "v=STSv1; id=1", 3600),
        Record("autodiscover", "CNAME", "autodiscover.outlook.example.", 3600),
        Record("_pop3s._tcp", "SRV", "0 1 995 pop.example.net.", 3600),
    )
    desired = desire(Intent(ZONE, ZONE, edges=(MAIL_ONLY,), zone_text=WITH_CERTIFICATE))
    plan = compare(desired, theirs, Ledger())
    assert set(theirs) <= set(plan.final)


def test_what_an_earlier_release_published_for_nobody_goes_without_confirmation() -> None:
    """More than 30 % of a small zone: SRV records of closed ports, and web names of an edge without :443."""
    web = EdgeAddresses("edge-1", IPv4Address("203.0.113.7"), https=True)
    served = desire(Intent(ZONE, ZONE, edges=(web,), services=EVERYTHING, web_mail=True, zone_text=WITH_CERTIFICATE))
    ledger = Ledger(frozenset(entry.key for entry in served.records))
    now = desire(Intent(ZONE, ZONE, edges=(MAIL_ONLY,), zone_text=WITH_CERTIFICATE))
    plan = compare(now, served.records, ledger)
    gone = {entry.name for entry in plan.deletes}
    assert {"_pop3s._tcp", "_jmap._tcp", "mta-sts", "_mta-sts", "autoconfig"} <= gone
    assert len(plan.deletes) > 0.3 * plan.managed
    check(plan, lambda _: None, range(60, 3601))
    assert not compare(now, plan.final, plan.ours)


SERVED = Intent(
    ZONE,
    ZONE,
    edges=(EdgeAddresses("edge-1", IPv4Address("198.51.100.11"), https=True),),
    zone_text=WITH_CERTIFICATE,
)
RSA = "v1-rsa-20261120._domainkey"


def _text(*keep: str) -> str:
    """The server's text with only these DKIM keys."""
    others = [entry for entry in parse(WITH_CERTIFICATE, ZONE, 3600) if "_domainkey" not in entry.name]
    return render([*others, *(Record(name, "TXT", f"v=DKIM1; k=rsa; p={name[:6]}=") for name in keep)], ZONE)


def test_a_server_text_that_lacks_a_key_never_deletes_its_record() -> None:
    newer, own = "v1-rsa-20270101._domainkey", "mail2026._domainkey"
    both = desire(replace(SERVED, zone_text=_text(RSA, newer, own)))
    first = compare(both, [], Ledger())
    for named in ((), (RSA,), (own,)):
        later = compare(desire(replace(SERVED, zone_text=_text(*named))), first.final, first.ours)
        gone = {entry.name for entry in later.deletes}
        assert not gone & {newer, own}, named
        assert RSA not in gone
        assert any(f"{newer}: the mail server does not name" in warning for warning in later.plan.warnings)
        again = compare(both, later.final, later.ours)
        assert not again, "and it is still ours when the server names it again"
    rotated = compare(desire(replace(SERVED, zone_text=_text(newer, own))), first.final, first.ours)
    assert {entry.name for entry in rotated.deletes if entry.type == "TXT"} >= {RSA}, "a later key has its place"


def test_an_ed25519_key_goes_only_where_it_is_ours() -> None:
    value = "v=DKIM1; k=ed25519; p=abc="
    ours, theirs = Record("v1-ed25519-20261120._domainkey", "TXT", value), Record("s1._domainkey", "TXT", value)
    plan = compare(desire(SERVED), [ours, theirs], Ledger())
    assert ours in plan.deletes
    assert theirs in plan.final
    known = compare(desire(SERVED), [ours, theirs], Ledger(frozenset({theirs.key})))
    assert theirs in known.deletes, "an earlier run published it"
