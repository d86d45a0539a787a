"""A zone that an older deploy published, with records of ports that no edge serves, converges without confirmation."""

from __future__ import annotations

from ipaddress import IPv4Address

from tailwart.dns.desired import desire
from tailwart.dns.guards import check
from tailwart.dns.intent import EdgeAddresses, Intent
from tailwart.dns.ownership import Ledger
from tailwart.dns.zonefile import parse
from tailwart.dns.zoneplan import compare
from tailwart.providers.record import Record, by_key, record
from tests.unit.dns.recorded import PLAIN, ZONE

ADDRESS = "203.0.113.7"
MAIL_ONLY = desire(Intent(ZONE, ZONE, edges=(EdgeAddresses("edge-1", IPv4Address(ADDRESS)),), zone_text=PLAIN))
TTL = range(60, 3601)


def published() -> list[Record]:
    """What a deploy before MAIL_SERVICES wrote for one mail-only edge: all that the server recommends."""
    recommended = [entry for entry in parse(PLAIN, ZONE, 3600) if entry.name not in ("mta-sts", "autoconfig")]
    return [*recommended, record(ZONE, "mail", "A", ADDRESS, 3600)]


def test_what_leads_nowhere_goes_without_confirmation() -> None:
    live = published()
    plan = compare(MAIL_ONLY, live, Ledger(frozenset(by_key(live))))
    assert {"_pop3s._tcp", "_jmap._tcp", "_caldavs._tcp", "_carddavs._tcp"} <= {entry.name for entry in plan.deletes}
    check(plan, lambda _: None, TTL)
    after = list(plan.expected.values())
    assert not compare(MAIL_ONLY, after, plan.ours)


def test_records_that_the_server_no_longer_recommends_still_need_confirmation() -> None:
    live = published() + [
        record(ZONE, f"v1-rsa-2026010{n}._domainkey", "TXT", "v=DKIM1; k=rsa; p=", 3600) for n in "12"
    ]
    live += [record(ZONE, f"old-{number}", "A", ADDRESS, 3600) for number in range(12)]
    plan = compare(MAIL_ONLY, live, Ledger(frozenset(by_key(live))))
    assert len(plan.lost) == 14
