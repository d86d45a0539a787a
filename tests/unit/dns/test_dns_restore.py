"""A restore brings back exactly what the snapshot holds, and takes away what this tool published since."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tailwart.dns.applying import apply
from tailwart.dns.archive import Archive
from tailwart.dns.desired import desire
from tailwart.dns.guards import check
from tailwart.dns.intent import EdgeAddresses, Intent
from tailwart.dns.ownership import Ledger
from tailwart.dns.restoring import restore
from tailwart.dns.zoneplan import ZonePlan, compare
from tailwart.providers.record import APEX, GENERATED, Record, by_key
from tests.unit.dns import bind
from tests.unit.dns.bench import Bench, ticking
from tests.unit.dns.memory import Memory
from tests.unit.dns.names import ADDRESS, KEY_ALGORITHM, KEY_NAME, KEY_SECRET, Knot, Served
from tests.unit.dns.recorded import WITH_CERTIFICATE, ZONE
from tests.unit.dns.test_dns_ownership import foreign

INTENT = Intent(
    ZONE,
    ZONE,
    edges=(EdgeAddresses("edge-1", IPv4Address("198.51.100.11"), https=True),),
    zone_text=WITH_CERTIFICATE,
    owner=ZONE,
)
DOWN = replace(INTENT, zone_text=None, missing=("the mail server is down",))
EVERY = range(1, 2**31)

OLD = (
    Record(APEX, "TXT", "v=spf1 include:one.example -all", 86400),
    Record(APEX, "TXT", "v=spf1 include:two.example ~all", 86400),
    Record("_dmarc", "TXT", "v=DMARC1; p=none", 172800),
    Record("mail", "A", "203.0.113.9", 86400),
    Record("k1._domainkey", "TXT", "v=DKIM1; p=" + "A" * 300, 7200, cuts=(11, 100, 200)),
    Record("autoconfig", "CNAME", "settings.vendor.example.", 43200),
)


def exact(records: tuple[Record, ...]) -> set[tuple[object, ...]]:
    return {(*entry.key, entry.ttl, entry.cuts) for entry in records}


def back(intent: Intent, live: tuple[Record, ...], ledger: Ledger, old: tuple[Record, ...]) -> ZonePlan:
    return restore(desire(intent), live, ledger, old, ttl=EVERY, keeps_strings=True)


@pytest.mark.parametrize("intent", [INTENT, DOWN], ids=["with the mail server", "without it"])
def test_everything_comes_back_and_what_we_added_goes(intent: Intent) -> None:
    made = compare(desire(INTENT), OLD, Ledger())
    plan = back(intent, made.final, made.ours, OLD)
    assert exact(plan.final) == exact(OLD)
    warnings = check(plan, lambda _: None, range(60, 3601), allow_deletions=True)
    assert any("2 SPF records" in text for text in warnings)
    assert not back(intent, plan.final, plan.ours, OLD), "and then there is nothing left to do"


@examples(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(foreign(), max_size=15), st.booleans())
def test_whatever_stood_there_comes_back(others: list[Record], down: bool) -> None:
    before = tuple(by_key(others).values())
    made = compare(desire(INTENT), before, Ledger())
    plan = back(DOWN if down else INTENT, made.final, made.ours, before)
    assert exact(plan.final) == exact(before)


def test_foreign_records_that_came_later_stay_with_their_ttl() -> None:
    later = (Record(APEX, "TXT", "verification=later", 300), Record("www", "A", "192.0.2.7"))
    plan = back(DOWN, (*OLD[2:], *later), Ledger(), OLD)
    assert set(later) <= set(plan.final)
    assert {entry.ttl for entry in plan.puts if entry.rrset == (APEX, "TXT")} == {300}, "a record set has one TTL"
    assert any("gets the TTL 300" in text for text in plan.plan.warnings)


def test_what_a_server_generates_is_never_written_back() -> None:
    saved = [*OLD, *(Record(APEX, rtype, "made", 60) for rtype in GENERATED)]
    plan = restore(desire(INTENT), [], Ledger(), saved, ttl=EVERY, keeps_strings=True)
    assert {entry.type for entry in plan.puts} == {entry.type for entry in OLD}


def test_a_ttl_that_the_provider_does_not_take_is_said() -> None:
    plan = restore(desire(INTENT), OLD[:3], Ledger(), OLD, ttl=range(60, 3601), keeps_strings=False)
    assert not [entry for entry in plan.puts if entry.key in by_key(OLD[:3])], "what stands there stays as it is"
    assert {entry.ttl for entry in plan.puts} == {3600}
    assert any("not 86400 as in the snapshot" in text for text in plan.plan.warnings)


def test_a_snapshot_keeps_where_strings_are_cut() -> None:
    with tempfile.TemporaryDirectory() as directory:
        archive = Archive(Path(directory) / "dns", ticking())
        archive.save(ZONE, OLD)
        assert exact(archive.load(ZONE).records) == exact(OLD)


def test_an_apply_that_is_restored_leaves_the_zone_as_it_was() -> None:
    with tempfile.TemporaryDirectory() as directory:
        archive, zone = Archive(Path(directory) / "dns", ticking()), Memory(OLD)
        apply(compare(desire(INTENT), OLD, Ledger()), zone, archive, nameservers=(), notify=lambda _: None)
        saved = archive.load(ZONE).records
        plan = back(DOWN, zone.read(ZONE), archive.ledger(ZONE), saved)
        apply(plan, zone, archive, nameservers=(), notify=lambda _: None)
        assert exact(zone.read(ZONE)) == exact(OLD)


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """BIND, which signs a copy of the zone: what is transferred follows what was written."""
    with bind.serving(tmp_path_factory.mktemp("bind"), (), ("signed.test",)) as running:
        yield running


def through(bench: Bench, server: Served, zone: str) -> None:
    """From a zone of somebody else's to ours and back, over RFC 2136."""
    old = tuple(replace(entry, value=entry.value.replace(ZONE, zone)) for entry in OLD)
    bench.provider.change(zone, old, [])
    before = exact(bench.live())
    plan = bench.plane.guard(bench.plane.plans(bench.provider))[zone]
    bench.plane.apply([plan], bench.provider, bench.notices.append)
    assert not bench.plan().plan.changes
    assert server.values(f"mail.{zone}", "A") == ["198.51.100.11"]
    down = bench.with_text(None)
    saved = down.plane.guard(down.plane.restorations(down.provider), allow_deletions=True)[zone]
    down.plane.apply([saved], down.provider, bench.notices.append)
    assert exact(bench.live()) == before
    assert not down.plane.restorations(down.provider, str(bench.plane.archive.snapshots(zone)[0]))[zone]


def test_there_and_back_on_knot(rfc2136: Bench, knot: Knot, zone: str) -> None:
    through(rfc2136, knot, zone)


class TestSigned:
    @pytest.fixture
    def zone(self) -> str:
        return "signed.test"

    def test_there_and_back_on_bind_that_signs(
        self, bench_for: object, settings: object, named: Served, zone: str
    ) -> None:
        environment = settings(  # type: ignore[operator]  # fixtures of conftest
            dns_nameservers=named.nameserver,
            dns_provider="rfc2136",
            provider_keys={
                "rfc2136_server": ADDRESS,
                "rfc2136_port": str(named.port),
                "rfc2136_key_name": KEY_NAME,
                "rfc2136_key": KEY_SECRET,
                "rfc2136_algorithm": KEY_ALGORITHM,
            },
        )
        through(bench_for(environment), named, zone)  # type: ignore[operator]
