"""A provider through octoDNS, on a real PowerDNS: what is ours is brought about, what is not stays to the octet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.plan.model import Action
from tailwart.providers import definition
from tailwart.providers.record import APEX, record
from tests.daemons import free_port
from tests.unit.dns import powerdns
from tests.unit.dns.bench import Bench, Settings
from tests.unit.dns.powerdns import API_KEY, PowerDns
from tests.unit.dns.recorded import WITH_CERTIFICATE, zone_text
from tests.waiting import polling

_zones = count()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PowerDns]:
    """One server for the session; each test takes a zone of its own."""
    with powerdns.serving(tmp_path_factory.mktemp("powerdns")) as running:
        yield running


@pytest.fixture
def zone(server: PowerDns) -> str:
    """A new zone on the server."""
    name = f"p{next(_zones)}.test"
    server.create(name)
    return name


@pytest.fixture
def settings(zone: str, server: PowerDns) -> Settings:
    """Settings that lead to the server; keywords replace single ones."""

    def make(**changes: Any) -> Environment:
        keys = {"powerdns_api_url": server.api, "powerdns_api_key": API_KEY, **changes.pop("keys", {})}
        document: dict[str, Any] = {
            "domain": zone,
            "ts_tailnet": "tailnet.test",
            "edges": [
                {"name": "edge-1", "ssh": "root@192.0.2.1", "ipv4": "198.51.100.11", "web": "/etc/caddy/Caddyfile"}
            ],
            "smarthost_address": "198.51.100.25",
            "dns_provider": "powerdns",
            "provider_keys": keys,
            "dns_nameservers": f"127.0.0.1:{server.port}",
            **changes,
        }
        return Environment.model_validate(document)

    return make


@pytest.fixture
def bench(bench_for: Callable[[Environment], Bench], settings: Settings) -> Bench:
    """A plane on the server."""
    return bench_for(settings())


LONG = "long;" + "x" * 300

# Written past the provider: what a zone's owner may have beside mail, types that octoDNS does not know included.
FOREIGN = {
    ("", "TXT"): (('"google-site-verification=abc"', rf'"say \"hi\" \\ {LONG[:200]}" "{LONG[200:]}"'), 600),
    ("", "CAA"): (('0 iodef "mailto:security@example.org"',), 3600),
    ("www.", "A"): (("203.0.113.9", "203.0.113.10"), 60),
    ("old.", "HINFO"): (('"PDP-11" "UNIX"',), 300),
    ("dyn.", "LUA"): (("A \"ifportup(443, {'192.0.2.1'})\"",), 30),
    ("_sip._tcp.", "SRV"): (("1 2 5060 sip.example.net.",), 7200),
}


def test_a_zone_is_pushed_with_foreign_records_kept_and_the_second_run_writes_nothing(
    bench: Bench, server: PowerDns
) -> None:
    for (name, rtype), (contents, ttl) in FOREIGN.items():
        server.put(bench.zone, f"{name}{bench.zone}.", rtype, *contents, ttl=ttl)
    server.put(bench.zone, f"off.{bench.zone}.", "A", "192.0.2.66", disabled=True)
    first = bench.with_overrides(dns_tlsa=True).with_text(zone_text(bench.zone, WITH_CERTIFICATE)).apply()
    assert first.plan.count(Action.CREATE) > 14
    assert server.values(bench.zone, "MX") == [f"10 mail.{bench.zone}."]
    assert server.values(f"mail.{bench.zone}", "A") == ["198.51.100.11"]
    assert server.values(f"_submissions._tcp.{bench.zone}", "SRV") == [f"0 1 465 mail.{bench.zone}."]
    (digest,) = {
        value.split()[-1] for value in server.values(f"_25._tcp.mail.{bench.zone}", "TLSA") if "3 1 1" in value
    }
    assert len(digest) == 64
    (key,) = server.texts(f"v1-rsa-20261120._domainkey.{bench.zone}")
    assert key.startswith("v=DKIM1; k=rsa;")
    assert len(key) > 255
    texts = server.texts(bench.zone)
    assert "v=spf1 mx ip4:198.51.100.25 -all" in texts
    assert {"google-site-verification=abc", f'say "hi" \\ {LONG}'} < set(texts)
    held = server.rrsets(bench.zone)
    for (name, rtype), (contents, _) in FOREIGN.items():
        assert set(contents) <= set(held[f"{name}{bench.zone}.", rtype]) or rtype == "TXT"
    assert held[f"off.{bench.zone}.", "A"] == ["192.0.2.66"]
    assert server.values(f"off.{bench.zone}", "A") == [], "still disabled"
    serial = server.serial(bench.zone)
    again = bench.with_overrides(dns_tlsa=True).with_text(zone_text(bench.zone, WITH_CERTIFICATE)).apply()
    assert not again
    assert server.serial(bench.zone) == serial


def test_what_octodns_does_not_know_is_shown_as_unmanaged(bench: Bench, server: PowerDns) -> None:
    server.put(bench.zone, f"dyn.{bench.zone}.", "LUA", "A \"ifportup(443, {'192.0.2.1'})\"")
    server.put(bench.zone, f"old.{bench.zone}.", "HINFO", '"PDP-11" "UNIX"')
    shown = bench.plan().plan.unmanaged
    assert any(text.startswith("dyn LUA") for text in shown)
    assert any(text.startswith("old HINFO") for text in shown)


def test_a_new_ttl_is_written_without_a_new_record(bench: Bench, settings: Settings, server: PowerDns) -> None:
    bench.apply()
    before = server.rrsets(bench.zone)
    changed = bench.with_environment(settings(dns_ttl=600))
    assert not changed.apply().deletes
    (answer,) = [entry for entry in changed.live() if entry.rrset == ("mail", "A")]
    assert answer.ttl == 600
    after = server.rrsets(bench.zone)
    assert {key: sorted(v) for key, v in after.items() if key[1] != "SOA"} == {
        key: sorted(v) for key, v in before.items() if key[1] != "SOA"
    }
    assert not changed.plan()


def test_spf_is_replaced_with_exactly_one_at_every_moment(bench: Bench, server: PowerDns) -> None:
    bench.apply()
    with polling(lambda: server.texts(bench.zone)) as seen:
        bench.with_overrides(dns_spf=["ip4:192.0.2.9"]).apply()
    assert server.texts(bench.zone) == ["v=spf1 mx ip4:198.51.100.25 ip4:192.0.2.9 -all"]
    assert {len(texts) for texts in seen} == {1}


def test_a_cname_gives_way_to_addresses_and_comes_back(bench: Bench, server: PowerDns) -> None:
    server.put(bench.zone, f"autoconfig.{bench.zone}.", "CNAME", "elsewhere.example.")
    bench.apply()
    assert server.values(f"autoconfig.{bench.zone}", "A") == ["198.51.100.11"]
    alias = bench.with_overrides(dns_records={"autoconfig A": [], "autoconfig CNAME": "mail"})
    alias.apply(allow_deletions=True)
    assert server.values(f"autoconfig.{bench.zone}", "CNAME") == [f"mail.{bench.zone}."]
    assert not alias.plan()


def test_caa_with_the_account_is_written_and_read_whole(bench: Bench, server: PowerDns, settings: Settings) -> None:
    acme = {"acme_directory": "https://acme-v02.api.letsencrypt.org/directory", "acme_contact": "ops@example.org"}
    bound = bench.with_environment(settings(**acme)).with_text(zone_text(bench.zone), "https://acme.example/acct/1")
    bound.apply()
    assert '0 issue "letsencrypt.org; accounturi=https://acme.example/acct/1"' in server.values(bench.zone, "CAA")
    assert not bound.plan()


def test_a_wrong_key_is_lesson_2_and_names_its_setting(
    bench_for: Callable[[Environment], Bench], settings: Settings
) -> None:
    bench = bench_for(settings(keys={"powerdns_api_key": "not-the-key-at-all"}))
    with pytest.raises(TailwartError) as refused:
        bench.plan()
    assert refused.value.lesson == 2
    assert "POWERDNS_API_KEY" in refused.value.remedy
    assert "not-the-key-at-all" not in str(refused.value)


def test_an_unknown_zone_and_a_silent_server_say_what_to_check(bench: Bench, settings: Settings) -> None:
    with pytest.raises(TailwartError, match=r"does not know the zone other\.test") as unknown:
        bench.provider.read("other.test")
    assert "EXTRA_DOMAINS" in unknown.value.remedy
    silent = settings(keys={"powerdns_api_url": f"http://127.0.0.1:{free_port()}"})
    provider = definition("powerdns").open(silent.provider_keys, lambda _: None)
    with pytest.raises(TailwartError, match="cannot be read") as away:
        provider.read(bench.zone)
    assert "the network from here" in away.value.remedy


def test_a_record_set_with_a_disabled_record_is_refused_before_anything_is_written(
    bench: Bench, server: PowerDns
) -> None:
    server.put(bench.zone, f"mail.{bench.zone}.", "A", "192.0.2.66", disabled=True)
    serial = server.serial(bench.zone)
    with pytest.raises(TailwartError, match="mail A cannot be changed at PowerDNS; nothing was written") as refused:
        bench.apply()
    assert "disabled" in refused.value.seen
    assert 'dns_exclude = ["mail A"]' in refused.value.remedy
    assert server.serial(bench.zone) == serial


def test_a_change_is_harmless_to_repeat(bench: Bench, server: PowerDns) -> None:
    new, old = record(bench.zone, "a", "A", "192.0.2.1", 60), record(bench.zone, "b", "A", "192.0.2.2", 60)
    bench.provider.change(bench.zone, [new, old], [])
    bench.provider.change(bench.zone, [new], [old])
    serial = server.serial(bench.zone)
    bench.provider.change(bench.zone, [new], [old])
    assert server.serial(bench.zone) == serial
    assert server.values(f"b.{bench.zone}", "A") == []


def test_the_zones_own_nameservers_are_asked_where_none_are_named(bench: Bench, settings: Settings) -> None:
    plane = bench.with_environment(settings(dns_nameservers=())).plane
    assert plane.nameservers(bench.provider, bench.zone) == (f"ns.{bench.zone}",)


@examples(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(foreign=st.text(st.characters(codec="utf-8"), min_size=1, max_size=600), ours=st.integers(0, 9))
def test_any_text_beside_ours_keeps_every_octet(bench: Bench, server: PowerDns, foreign: str, ours: int) -> None:
    """A record set is written as a whole, so the owner's texts go through the library with ours."""
    entry = record(bench.zone, APEX, "TXT", foreign, 3600)
    before = [each for each in bench.live() if each.rrset == (APEX, "TXT")]
    mine = record(bench.zone, APEX, "TXT", f"v=spf1 ip4:192.0.2.{ours} -all", 3600)
    keys = {entry.key, mine.key}
    bench.provider.change(bench.zone, [entry], [each for each in before if each.key not in keys])
    bench.provider.change(bench.zone, [mine], [])
    served = {b"".join(rdata.strings) for rdata in server.rdatas(bench.zone, "TXT")}
    assert served == {foreign.encode(), mine.value.encode()}
    assert {each.key for each in bench.live() if each.rrset == (APEX, "TXT")} == keys
