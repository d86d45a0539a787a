"""A zone from empty to complete, through each provider, on a real authoritative server."""

from __future__ import annotations

import pytest

from tailwart.errors import TailwartError
from tailwart.plan.model import Action
from tailwart.providers.record import APEX, record
from tests.unit.dns.bench import Bench, FakeApi
from tests.unit.dns.names import Knot
from tests.unit.dns.recorded import zone_text
from tests.waiting import polling

Provided = pytest.mark.parametrize("bench", ["spaceship", "rfc2136"], indirect=True)


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Bench:
    """The bench of the provider that the test is run for."""
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Bench)
    return made


@Provided
def test_an_empty_zone_becomes_complete_and_stays_as_it_is(bench: Bench, knot: Knot) -> None:
    first = bench.apply()
    assert first.plan.count(Action.CREATE) > 14
    assert knot.values(bench.zone, "MX") == [f"10 mail.{bench.zone}."]
    assert knot.texts(bench.zone) == ["v=spf1 mx ip4:198.51.100.25 -all"]
    assert knot.values(f"mail.{bench.zone}", "A") == ["198.51.100.11"]
    assert knot.values(f"mta-sts.{bench.zone}", "A") == ["198.51.100.11"]
    assert knot.values(f"_submissions._tcp.{bench.zone}", "SRV") == [f"0 1 465 mail.{bench.zone}."]
    (key,) = knot.texts(f"v1-rsa-20261120._domainkey.{bench.zone}")
    assert key.startswith("v=DKIM1; k=rsa;")
    assert len(key) > 255
    assert not bench.plan()


@Provided
def test_a_second_run_writes_nothing(bench: Bench, fake_api: FakeApi, knot: Knot) -> None:
    bench.apply()
    serial = knot.values(bench.zone, "SOA")
    writes = fake_api.count("PUT", "DELETE")
    assert not bench.apply()
    assert fake_api.count("PUT", "DELETE") == writes
    assert knot.values(bench.zone, "SOA") == serial


@Provided
def test_foreign_records_stay(bench: Bench) -> None:
    foreign = [
        record(bench.zone, APEX, "TXT", "google-site-verification=abc", 3600),
        record(bench.zone, "www", "A", "203.0.113.9", 600),
        record(bench.zone, APEX, "CAA", '0 iodef "mailto:security@example.org"', 3600),
        record(bench.zone, "k1._domainkey", "TXT", "v=DKIM1; k=rsa; p=abc", 3600),
        record(bench.zone, "_acme-challenge", "TXT", "being-validated", 60),
        record(bench.zone, "_validation-persist", "TXT", "letsencrypt.org; accounturi=x", 60),
        record(bench.zone, "_dmarc.lists", "TXT", "v=DMARC1; p=none", 3600),
    ]
    bench.provider.change(bench.zone, foreign, [])
    plan = bench.apply()
    assert {entry.key for entry in foreign} <= {entry.key for entry in bench.live()}
    assert not {entry.key for entry in foreign} & {entry.key for entry in plan.deletes}
    assert not bench.plan()


@Provided
def test_the_owners_spf_is_merged(bench: Bench, knot: Knot) -> None:
    bench.provider.change(
        bench.zone, [record(bench.zone, APEX, "TXT", "v=spf1 include:_spf.example.net ~all", 3600)], []
    )
    bench.apply()
    assert knot.texts(bench.zone) == ["v=spf1 mx ip4:198.51.100.25 include:_spf.example.net ~all"]
    assert not bench.plan()


@Provided
def test_a_double_spf_is_explained_and_repaired(bench: Bench, knot: Knot) -> None:
    bench.apply()
    bench.provider.change(bench.zone, [record(bench.zone, APEX, "TXT", "v=spf1 ip4:192.0.2.77 -all", 3600)], [])
    plan = bench.plan()
    assert any("lesson 14" in change.why for change in plan.plan.changes)
    bench.apply()
    assert knot.texts(bench.zone) == ["v=spf1 mx ip4:198.51.100.25 ip4:192.0.2.77 -all"]


@Provided
def test_spf_terms_of_ours_go_when_they_are_not_wanted_any_more(bench: Bench, knot: Knot) -> None:
    bench.provider.change(bench.zone, [record(bench.zone, APEX, "TXT", "v=spf1 ip4:192.0.2.77 -all", 3600)], [])
    bench.with_overrides(dns_spf=["ip4:192.0.2.1"]).apply()
    assert "ip4:192.0.2.1 " in knot.texts(bench.zone)[0]
    bench.with_overrides(dns_spf=["ip4:192.0.2.2"]).apply()
    assert knot.texts(bench.zone) == ["v=spf1 mx ip4:198.51.100.25 ip4:192.0.2.2 ip4:192.0.2.77 -all"]


@Provided
def test_a_vanished_record_is_shown_and_restored(bench: Bench, knot: Knot) -> None:
    bench.apply()
    gone = [entry for entry in bench.live() if entry.rrset in {("mail", "A"), (APEX, "MX")}]
    bench.provider.change(bench.zone, [], gone)
    plan = bench.plan()
    assert {(change.action, change.kind, change.name) for change in plan.plan.changes} == {
        (Action.CREATE, "A", "mail"),
        (Action.CREATE, "MX", APEX),
    }
    bench.apply()
    assert knot.values(f"mail.{bench.zone}", "A") == ["198.51.100.11"]


@Provided
def test_an_ed25519_key_is_removed(bench: Bench, knot: Knot) -> None:
    bench.apply()
    name = "v1-ed25519-20261120._domainkey"
    bench.provider.change(
        bench.zone, [record(bench.zone, name, "TXT", "v=DKIM1; k=ed25519; h=sha256; p=abc=", 3600)], []
    )
    plan = bench.apply()
    (change,) = plan.plan.changes
    assert (change.action, change.name) == (Action.DELETE, name)
    assert "lesson 15" in change.why
    assert knot.texts(f"{name}.{bench.zone}") == []


@Provided
def test_a_rotated_key_replaces_the_old_one(bench: Bench, knot: Knot) -> None:
    bench.apply()
    bench.with_text(zone_text(bench.zone).replace("v1-rsa-20261120", "v1-rsa-20270101")).apply()
    assert knot.texts(f"v1-rsa-20270101._domainkey.{bench.zone}")
    assert not knot.texts(f"v1-rsa-20261120._domainkey.{bench.zone}")


@Provided
def test_aliases_give_way_to_addresses_and_no_name_is_ever_empty(bench: Bench, knot: Knot) -> None:
    aliases = [record(bench.zone, name, "CNAME", f"mail.{bench.zone}.", 3600) for name in ("mta-sts", "autoconfig")]
    mail = record(bench.zone, "mail", "A", "192.0.2.200", 3600)
    bench.provider.change(bench.zone, [*aliases, mail], [])
    name = f"mta-sts.{bench.zone}"
    with polling(lambda: knot.values(name, "A") or knot.values(name, "CNAME")) as seen:
        bench.apply()
    assert seen
    assert all(seen)
    assert knot.values(name, "A") == ["198.51.100.11"]
    assert knot.values(name, "CNAME") == []
    assert not bench.plan()


def test_one_spf_at_every_moment_with_atomic_updates(rfc2136: Bench, knot: Knot) -> None:
    rfc2136.apply()
    with polling(lambda: knot.texts(rfc2136.zone)) as seen:
        for number in range(1, 21):
            rfc2136.with_overrides(dns_spf=[f"ip4:192.0.2.{number}"]).apply()
    assert len(seen) > 20
    assert {len(texts) for texts in seen} == {1}


def test_two_spf_stand_for_one_request_only(spaceship: Bench, fake_api: FakeApi) -> None:
    """The API cannot replace a record in one step: the put and the delete follow each other with nothing between."""
    spaceship.apply()
    before = len(fake_api.faults.requests)
    spaceship.with_overrides(dns_spf=["ip4:192.0.2.9"]).apply()
    methods = [request["method"] for request in fake_api.faults.requests[before:]]
    assert methods.count("PUT") == methods.count("DELETE") == 1
    assert methods[methods.index("PUT") + 1] == "DELETE"


@Provided
def test_a_snapshot_holds_the_zone_from_before(bench: Bench) -> None:
    foreign = record(bench.zone, "www", "A", "203.0.113.9", 600)
    bench.provider.change(bench.zone, [foreign], [])
    before = {entry.key for entry in bench.live()}
    bench.apply()
    snapshot = bench.plane.archive.load(bench.zone)
    assert {entry.key for entry in snapshot.records} == before
    assert snapshot.path.stat().st_mode & 0o777 == 0o600
    assert all(parent.stat().st_mode & 0o777 == 0o700 for parent in list(snapshot.path.parents)[:3])


@Provided
def test_without_the_mail_server_only_the_known_is_published(bench: Bench, knot: Knot) -> None:
    bench.apply()
    dead = bench.with_text(None)
    plan = dead.plan()
    assert not plan
    assert any("no mail server" in warning for warning in plan.plan.warnings)
    assert knot.texts(f"v1-rsa-20261120._domainkey.{bench.zone}")


@Provided
def test_a_first_run_without_the_mail_server(bench: Bench, knot: Knot) -> None:
    bench.with_text(None).apply()
    assert knot.values(bench.zone, "MX") == [f"10 mail.{bench.zone}."]
    assert knot.texts(f"_dmarc.{bench.zone}") == []
    bench.apply()
    assert knot.texts(f"_dmarc.{bench.zone}")


@Provided
def test_a_plan_that_deletes_much_must_be_allowed(bench: Bench) -> None:
    bench.apply()
    bare = "\n".join(f"@ IN MX 10 mail.{bench.zone}." for _ in range(1))
    with pytest.raises(TailwartError, match="deletes") as refused:
        bench.with_text(bare).plan()
    assert "--allow-deletions" in str(refused.value)
    assert bench.with_text(bare).plan(allow_deletions=True).deletes
