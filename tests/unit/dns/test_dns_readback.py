"""Before the write the plan must still be true; after it the provider may take its time, but not for ever."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tailwart.dns.applying import apply
from tailwart.dns.archive import Archive
from tailwart.dns.desired import desire
from tailwart.dns.guards import check
from tailwart.dns.intent import EdgeAddresses, Intent
from tailwart.dns.ownership import Ledger
from tailwart.dns.readback import SECONDS, Clock
from tailwart.dns.zoneplan import ZonePlan, compare
from tailwart.errors import TailwartError
from tailwart.providers._octodns import records_of
from tailwart.providers._octodns_backend import Rrset
from tailwart.providers._spaceship_items import from_item, to_item
from tailwart.providers.record import APEX, GENERATED, Record
from tests.unit.dns.bench import ticking
from tests.unit.dns.memory import Memory
from tests.unit.dns.recorded import PLAIN, ZONE

INTENT = Intent(ZONE, ZONE, edges=(EdgeAddresses("edge-1", IPv4Address("198.51.100.11"), https=True),), zone_text=PLAIN)


class Lagging(Memory):
    """Shows a change only after some more readings."""

    def __init__(self, records: Iterable[Record], readings: int) -> None:
        super().__init__(records)
        self.readings, self.stale = readings, None

    stale: tuple[Record, ...] | None

    def change(self, zone: str, puts: Iterable[Record], deletes: Iterable[Record]) -> None:
        self.stale = self.read(zone)
        super().change(zone, puts, deletes)

    def read(self, zone: str) -> tuple[Record, ...]:
        if self.stale is not None and self.readings > 0:
            self.readings -= 1
            return self.stale
        return super().read(zone)


class Time:
    """Passes only while somebody waits."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def pause(self, seconds: float) -> None:
        self.seconds += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.seconds, self.pause)


def planned(*live: Record) -> ZonePlan:
    return compare(desire(INTENT), live, Ledger())


def carried_out(plan: ZonePlan, zone: Memory, path: Path, time: Time) -> list[str]:
    told: list[str] = []
    apply(plan, zone, Archive(path / "dns", ticking()), nameservers=(), notify=told.append, clock=time.clock)
    return told


def test_a_provider_that_lags_is_read_again(tmp_path: Path) -> None:
    zone, time = Lagging([], readings=4), Time()
    told = carried_out(planned(), zone, tmp_path, time)
    assert any("does not show the change yet" in text for text in told)
    assert 0 < time.seconds < SECONDS
    assert not compare(desire(INTENT), zone.read(ZONE), Ledger())


def test_a_provider_that_never_shows_the_change_is_given_up(tmp_path: Path) -> None:
    time = Time()
    with pytest.raises(TailwartError, match="not what the plan said"):
        carried_out(planned(), Lagging([], readings=1000), tmp_path, time)
    assert time.seconds <= SECONDS


def test_what_a_server_generates_is_no_difference(tmp_path: Path) -> None:
    class Signing(Memory):
        def change(self, zone: str, puts: Iterable[Record], deletes: Iterable[Record]) -> None:
            super().change(zone, puts, deletes)
            self.records |= {(APEX, rtype, "made"): Record(APEX, rtype, "made") for rtype in GENERATED}

    zone = Signing([])
    carried_out(planned(), zone, tmp_path, Time())
    assert not compare(desire(INTENT), zone.read(ZONE), Ledger())


@pytest.mark.parametrize(
    "other",
    [
        Record(APEX, "TXT", "v=spf1 include:theirs.example -all"),
        Record("mail", "A", "203.0.113.9"),
        Record("mta-sts", "CNAME", "elsewhere.example."),
    ],
    ids=str,
)
def test_a_zone_that_moved_at_our_names_is_not_written(tmp_path: Path, other: Record) -> None:
    plan, zone = planned(), Memory([other])
    with pytest.raises(TailwartError, match="moved since the plan was made") as moved:
        carried_out(plan, zone, tmp_path, Time())
    assert f"{other.name} {other.type}" in moved.value.seen
    assert "run again" in moved.value.remedy
    assert zone.read(ZONE) == (other,)


def test_what_moved_elsewhere_is_no_hindrance(tmp_path: Path) -> None:
    others = [Record("www", "A", "203.0.113.9"), Record("_acme-challenge", "TXT", "token")]
    zone = Memory(others)
    carried_out(planned(), zone, tmp_path, Time())
    assert set(others) <= set(zone.read(ZONE))


@pytest.mark.parametrize(
    ("cut", "name"),
    [
        (Record("mail", "NS", "ns.elsewhere.example."), "mail"),
        (Record("_tcp", "NS", "ns.elsewhere.example."), "_tcp"),
        (Record("_domainkey", "NS", "ns.elsewhere.example."), "_domainkey"),
        (Record("_domainkey", "DNAME", "keys.vendor.example."), "_domainkey"),
        (Record("_tcp", "DNAME", "services.vendor.example."), "_tcp"),
    ],
    ids=str,
)
def test_names_that_would_never_be_served_are_refused_with_the_cause(cut: Record, name: str) -> None:
    with pytest.raises(TailwartError, match="never be served") as refused:
        check(planned(cut), lambda _: None, range(60, 3601))
    assert f"{name} {cut.type} {cut.value}" in str(refused.value)
    assert "dns_exclude" in str(refused.value)


def test_what_lies_beside_ours_is_understood() -> None:
    """Delegations elsewhere, wildcards, and a DNAME at a name of ours: none of them hides what we publish."""
    live = [
        Record("shop", "NS", "ns.vendor.example."),
        Record("*", "CNAME", "pages.vendor.example."),
        Record("*._domainkey", "TXT", "v=DKIM1; p="),
        Record("*.mail", "A", "203.0.113.9"),
        Record("mail", "DNAME", "below.vendor.example."),
    ]
    plan = planned(*live)
    check(plan, lambda _: None, range(60, 3601))
    assert set(live) <= set(plan.final)


def test_a_deleted_record_that_a_wildcard_answers_is_not_waited_for(tmp_path: Path) -> None:
    wildcard, old = Record("*", "A", "198.51.100.11"), Record("mta-sts", "A", "198.51.100.11")
    served = planned(wildcard)
    zone = Memory(served.final)
    mail_only = Intent(ZONE, ZONE, edges=(EdgeAddresses("edge-1", IPv4Address("198.51.100.11")),), zone_text=PLAIN)
    plan = compare(desire(mail_only), zone.read(ZONE), served.ours)
    assert old.key in {entry.key for entry in plan.deletes}
    asked: list[str] = []

    def wait(_servers: object, _zone: str, _puts: object, gone: list[Record], **_: object) -> tuple[str, ...]:
        asked.extend(entry.name for entry in gone if entry.type == "A")
        return ()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tailwart.dns.applying.wait_until_served", wait)
        carried_out(plan, zone, tmp_path, Time())
    assert "mta-sts" not in asked


def test_an_alias_of_the_zone_itself_stands_beside_mail() -> None:
    """Spaceship lists it as a CNAME, which no other data may stand beside; served are addresses."""
    item = {"type": "CNAME", "name": "@", "cname": "shops.vendor.example", "ttl": 600, "group": {"type": "custom"}}
    alias = from_item(item, ZONE)
    assert not alias.is_dns
    plan = planned(alias)
    check(plan, lambda _: None, range(60, 3601))
    assert alias in plan.final
    assert to_item(alias) == {"type": "CNAME", "name": "@", "cname": "shops.vendor.example", "ttl": 600}
    (through_octodns,) = records_of(Rrset(f"{ZONE}.", "CNAME", 600, ("shops.vendor.example.",)), ZONE)
    assert through_octodns.locked
    assert not through_octodns.is_dns


def test_an_alias_at_a_name_of_ours_is_refused_with_the_cause() -> None:
    alias = from_item({"type": "ALIAS", "name": "mta-sts", "aliasName": "policies.vendor.example", "ttl": 600}, ZONE)
    with pytest.raises(TailwartError, match="mta-sts") as refused:
        check(planned(alias), lambda _: None, range(60, 3601))
    assert "policies.vendor.example" in refused.value.seen
