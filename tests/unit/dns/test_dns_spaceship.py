"""Spaceship: every kind of failure at every call, the rate limit, paging, groups and items."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lab.control import server
from lab.control.faults import Fault
from lab.control.spaceship.app import create_app
from lab.control.spaceship.publisher import NameServer
from lab.control.spaceship.registry import Registry
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.providers._spaceship import Spaceship
from tailwart.providers._spaceship_http import Client
from tailwart.providers._spaceship_items import from_item, to_item, without_metadata
from tailwart.providers.record import APEX, Record, record
from tests.unit.dns.bench import API_KEY, API_SECRET, Bench, FakeApi, Settings, spaceship_settings
from tests.unit.dns.names import ADDRESS, KEY_ALGORITHM, KEY_NAME, KEY_SECRET, Knot
from tests.waiting import polling

STATUSES = [401, 403, 404, 422, 500]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("status", STATUSES)
def test_a_refusal_at_any_call_is_clear_and_healed(
    spaceship: Bench, fake_api: FakeApi, knot: Knot, method: str, status: int
) -> None:
    spaceship.apply()
    changed = spaceship.with_overrides(dns_spf=["ip4:192.0.2.9"])
    fake_api.faults.arm(Fault("status", method=method, status=status, times=9))
    with pytest.raises(TailwartError) as failed:
        changed.apply()
    message = str(failed.value)
    # "Already gone" is what a delete wants; that it is not true, only the read-back can tell.
    assert ("ADDED @ TXT v=spf1" if (method, status) == ("DELETE", 404) else str(status)) in message
    assert "remedy" in message
    assert API_KEY not in message
    assert API_SECRET not in message
    if status == 401:
        assert failed.value.lesson == 2
    fake_api.faults.disarm()
    changed.apply()
    assert knot.texts(spaceship.zone) == ["v=spf1 mx ip4:198.51.100.25 ip4:192.0.2.9 -all"]
    assert not changed.plan()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("kind", ["cut", "cut-after", "truncate", "html"])
def test_a_broken_connection_at_any_call_is_healed(
    spaceship: Bench, fake_api: FakeApi, knot: Knot, method: str, kind: str
) -> None:
    spaceship.apply()
    changed = spaceship.with_overrides(dns_spf=["ip4:192.0.2.9"])
    fake_api.faults.arm(Fault(kind, method=method, times=4))  # type: ignore[arg-type]  # the parameter is one of the kinds
    try:
        changed.apply()
    except TailwartError as error:
        assert "Spaceship" in str(error)
    fake_api.faults.disarm()
    changed.apply()
    assert knot.texts(spaceship.zone) == ["v=spf1 mx ip4:198.51.100.25 ip4:192.0.2.9 -all"]


def test_a_connection_cut_after_the_put_is_no_second_put_of_something_else(
    spaceship: Bench, fake_api: FakeApi, knot: Knot
) -> None:
    fake_api.faults.arm(Fault("cut-after", method="PUT", times=1))
    spaceship.apply()
    assert len(knot.texts(spaceship.zone)) == 1
    assert not spaceship.plan()


def test_the_rate_limit_is_waited_for(spaceship: Bench, fake_api: FakeApi, no_pauses: list[float]) -> None:
    fake_api.faults.arm(Fault("status", status=429, times=2, headers={"Retry-After": "17"}))
    spaceship.apply()
    assert no_pauses == [17.0, 17.0]
    assert any("rate limit" in text for text in spaceship.notices)


def test_a_rate_limit_that_asks_for_no_pause_is_bounded(
    spaceship: Bench, fake_api: FakeApi, no_pauses: list[float]
) -> None:
    fake_api.faults.arm(Fault("status", status=429, times=None, headers={"Retry-After": "0"}))
    with pytest.raises(TailwartError, match="rate limit"):
        spaceship.plan()
    assert no_pauses
    assert min(no_pauses) >= 1


def test_a_lasting_rate_limit_ends_with_a_message(spaceship: Bench, fake_api: FakeApi) -> None:
    fake_api.faults.arm(Fault("status", status=429, times=None, headers={"Retry-After": "200"}))
    with pytest.raises(TailwartError, match="rate limit"):
        spaceship.plan()


def test_five_thousand_records_in_few_requests(spaceship: Bench, fake_api: FakeApi) -> None:
    many = [{"type": "TXT", "name": f"r{number}", "value": f"note {number}", "ttl": 3600} for number in range(4960)]
    fake_api.registry.put(spaceship.zone, many, force=False)
    spaceship.apply()
    before = len(fake_api.faults.requests)
    started = time.monotonic()
    assert not spaceship.plan()
    assert len(fake_api.faults.requests) - before <= 12
    assert time.monotonic() - started < 60, "not a figure, only that it ends"


def test_two_domains_do_not_share_what_was_read(knot: Knot) -> None:
    """Each zone has its own spelling of the same record, and its own aliases that need `force`."""
    zones = ["one.test", "two.test"]
    registry = Registry(zones)
    with server.running(app := create_app(registry, API_KEY, API_SECRET)) as url:
        client = Client(f"{url}/api/v1", API_KEY, API_SECRET, lambda _: None)
        provider = Spaceship(client, ())
        spellings = {"one.test": "MX.Example.NET", "two.test": "mx.example.net"}
        for zone in zones:
            item = {"type": "MX", "name": "@", "exchange": spellings[zone], "preference": 10}
            registry.put(zone, [item], force=False)
        registry.put("one.test", [{"type": "CNAME", "name": "web", "cname": "x.example.net"}], force=False)
        held = {zone: provider.read(zone) for zone in zones}
        old = next(entry for entry in held["one.test"] if entry.type == "MX")
        app.disarm()
        provider.change("one.test", [record("one.test", "web", "A", "192.0.2.1", 3600)], [old])
        assert {(item["type"], item["name"]) for item in registry.items("one.test")} == {("A", "web"), ("CNAME", "web")}
        assert provider._names("two.test", [old])[0]["exchange"] == "mx.example.net"
        assert len(registry.items("two.test")) == 1


@pytest.mark.parametrize("coarse", [False, True], ids=["as documented", "without port and target"])
@pytest.mark.parametrize("port", [993, 994], ids=["another target", "another port"])
def test_a_service_never_vanishes_while_its_record_is_replaced(
    bench_for: Callable[[Environment], Bench], settings: Settings, knot: Knot, zone: str, *, coarse: bool, port: int
) -> None:
    publisher = NameServer(ADDRESS, knot.port, (KEY_NAME, KEY_ALGORITHM, KEY_SECRET))
    registry = Registry([zone], publisher, coarse=coarse)
    app = create_app(registry, API_KEY, API_SECRET)
    with server.running(app) as url:
        bench = bench_for(spaceship_settings(settings, FakeApi(f"{url}/api/v1", app, registry)))
        bench.apply()
        old = f"0 1 993 mail.{zone}."
        for service in ("_imaps", "_submissions"):
            assert knot.values(f"{service}._tcp.{zone}", "SRV")
        moved = bench.with_overrides(dns_records={"_imaps._tcp SRV": f"0 1 {port} mail2.{zone}."})
        with polling(lambda: knot.values(f"_imaps._tcp.{zone}", "SRV")) as seen:
            moved.apply()
        assert knot.values(f"_imaps._tcp.{zone}", "SRV") == [f"0 1 {port} mail2.{zone}."]
        assert seen
        assert all(seen), "at every moment there is one"
        assert [old] in seen
        assert not moved.plan()


def test_pages_are_asked_for_in_an_order(spaceship: Bench, fake_api: FakeApi) -> None:
    """Without one, the pages of the fake API overlap: records would be missing and others there twice."""
    for at in range(0, 1500, 500):
        items = [{"type": "TXT", "name": f"r{at + n}", "value": f"note {at + n}"} for n in range(500)]
        fake_api.registry.put(spaceship.zone, items, force=False)
    texts = [entry.value for entry in spaceship.live() if entry.type == "TXT"]
    assert len(texts) == len(set(texts)) == 1500


def test_a_zone_that_changes_while_it_is_read_is_read_again(spaceship: Bench, fake_api: FakeApi) -> None:
    items = [{"type": "TXT", "name": f"r{n}", "value": f"note {n}"} for n in range(300)]
    fake_api.registry.put(spaceship.zone, items, force=False)
    held = fake_api.registry.items(spaceship.zone)
    pages = [held[:250], held[200:250], held[:250], held[250:]]  # the total is right, but 50 came twice and 50 never
    for number, page in enumerate(pages):
        body = json.dumps({"items": page, "total": len(held)})
        fake_api.faults.arm(Fault("status", status=200, times=1, body=body, path=f"(?#{number})"))
    assert {entry.value for entry in spaceship.live() if entry.type == "TXT"} == {f"note {n}" for n in range(300)}


@pytest.mark.parametrize(
    ("name", "rtype", "value"),
    [
        ("x", "TXT", "  "),
        (APEX, "MX", "0 ."),
        ("_imap._tcp", "SRV", "0 0 143 ."),
        ("_25._tcp", "TLSA", "3 1 0 abcd"),
        (APEX, "CAA", '1 issue "ca.example"'),
        (APEX, "CAA", '0 issuemail "ca.example"'),
        (APEX, "NAPTR", '10 10 "" "" "" x.example.'),
    ],
)
def test_what_the_api_refuses_is_said_before_anything_is_written(
    spaceship: Bench, fake_api: FakeApi, name: str, rtype: str, value: str
) -> None:
    spaceship.live()
    good = record(spaceship.zone, "good", "A", "192.0.2.1", 3600)
    with pytest.raises(TailwartError, match=f"{name} {rtype}: Spaceship"):
        spaceship.provider.change(spaceship.zone, [good, record(spaceship.zone, name, rtype, value, 3600)], [])
    assert fake_api.count("PUT", "DELETE") == 0


@pytest.mark.parametrize("date", ["Thu, 01 Jan 1970 00:00:00 GMT", "0", "-5", "1" * 400, "soon", "٣"])
def test_every_form_of_retry_after_ends(spaceship: Bench, fake_api: FakeApi, no_pauses: list[float], date: str) -> None:
    headers = {"Retry-After": date.encode().decode("latin-1")}
    fake_api.faults.arm(Fault("status", status=429, times=None, headers=headers))
    with pytest.raises(TailwartError, match="rate limit"):
        spaceship.plan()
    assert all(1 <= pause <= 300 for pause in no_pauses)
    assert sum(no_pauses) <= 330


def test_records_of_products_are_never_written(spaceship: Bench, fake_api: FakeApi) -> None:
    spaceship.apply()
    entry = from_item(
        {"type": "A", "name": "mail", "address": "192.0.2.5", "ttl": 600, "group": {"type": "product"}}, spaceship.zone
    )
    assert entry.locked
    bodies = [request for request in fake_api.faults.requests if request["method"] != "GET"]
    assert bodies


def test_names_and_values_compare_without_case_but_text_does_not(spaceship: Bench, fake_api: FakeApi) -> None:
    spaceship.apply()
    item = {"type": "MX", "name": "@", "exchange": f"MAIL.{spaceship.zone.upper()}", "preference": 10, "ttl": 3600}
    fake_api.registry.put(spaceship.zone, [item], force=False)
    assert not spaceship.plan()


_label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
_host = st.lists(_label, min_size=1, max_size=3).map(lambda labels: ".".join(labels) + ".test.")
_u16 = st.integers(0, 65535)
_name = st.just(APEX) | _label


@st.composite
def entries(draw: st.DrawFn) -> Record:
    """Any record that Spaceship has a form for."""
    rtype = draw(st.sampled_from(["A", "AAAA", "CNAME", "MX", "TXT", "SRV", "CAA", "TLSA"]))
    name = draw(_name)
    host = draw(_host)
    text = {
        "A": str(draw(st.ip_addresses(v=4))),
        "AAAA": str(draw(st.ip_addresses(v=6))),
        "CNAME": host,
        "MX": f"{draw(_u16)} {host}",
        "TXT": draw(
            st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=600).filter(str.strip)
        ),
        "SRV": f"{draw(_u16)} {draw(_u16)} {draw(_u16)} {host}",
        "CAA": f'0 issue "ca.example; accounturi=https://{host}x"',
        "TLSA": f"3 1 1 {draw(st.binary(min_size=32, max_size=32)).hex()}",
    }[rtype]
    if rtype in {"SRV", "TLSA"}:
        prefix = "_imaps._tcp" if rtype == "SRV" else "_25._tcp"
        name = prefix if name == APEX else f"{prefix}.{name}"
    return record("example.org", name, rtype, text, draw(st.integers(60, 3600)))


@given(entries())
def test_an_item_means_the_record_it_came_from(entry: Record) -> None:
    assume(entry.rrset != (APEX, "CNAME"))
    item = to_item(entry)
    assert "group" not in item
    assert "ttl" not in without_metadata(item)
    assert from_item(item, "example.org") == entry


def test_what_dns_does_not_know_is_kept_as_it_is() -> None:
    item = {"type": "ALIAS", "name": "@", "aliasName": "x.example", "ttl": 300, "group": {"type": "custom"}}
    entry = from_item(item, "example.org")
    assert to_item(entry) == {"type": "ALIAS", "name": "@", "aliasName": "x.example", "ttl": 300}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_timeout_at_any_call_is_clear_and_healed(
    spaceship: Bench, fake_api: FakeApi, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    spaceship.apply()
    changed = spaceship.with_overrides(dns_spf=["ip4:192.0.2.9"])
    monkeypatch.setattr("tailwart.providers._spaceship_http.TIMEOUT", (1.0, 0.2))
    fake_api.faults.arm(Fault("slow", method=method, seconds=0.6, times=4))
    with pytest.raises(TailwartError, match="did not answer in time"):
        changed.apply()
    fake_api.faults.disarm()
    monkeypatch.undo()
    changed.apply()
    assert not changed.plan()


def test_one_spf_at_every_moment_where_the_provider_publishes_in_batches(
    bench_for: Callable[[Environment], Bench], settings: Settings, knot: Knot, zone: str
) -> None:
    """As hosted providers do: the API answers first, the name servers follow. The put and the delete are one batch."""
    publisher = NameServer(ADDRESS, knot.port, (KEY_NAME, KEY_ALGORITHM, KEY_SECRET))
    registry = Registry([zone], publisher, delay=0.3)
    app = create_app(registry, API_KEY, API_SECRET)
    with server.running(app) as url:
        bench = bench_for(spaceship_settings(settings, FakeApi(f"{url}/api/v1", app, registry)))
        bench.apply()
        with polling(lambda: knot.texts(zone)) as seen:
            bench.with_overrides(dns_spf=["ip4:192.0.2.9"]).apply()
    assert knot.texts(zone) == ["v=spf1 mx ip4:198.51.100.25 ip4:192.0.2.9 -all"], "waited for the servers"
    assert {len(texts) for texts in seen} == {1}
