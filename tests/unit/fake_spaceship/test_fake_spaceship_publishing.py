"""How the fake API's list is published by a real authoritative server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dns.name
import dns.rdata
import pytest

from lab.control.spaceship import NameServer, Registry
from tests.daemons import free_port
from tests.unit.fake_spaceship.conftest import TSIG, ZONE, Api, Knot
from tests.waiting import until

SPF = {"type": "TXT", "name": "@", "value": "v=spf1 mx -all"}
LONG = "v=DKIM1; k=rsa; p=" + "A" * 400


@pytest.mark.parametrize(
    ("item", "name", "expected"),
    [
        ({"type": "A", "name": "mail", "address": "192.0.2.1"}, "mail", "192.0.2.1"),
        ({"type": "AAAA", "name": "mail", "address": "2001:db8::1"}, "mail", "2001:db8::1"),
        ({"type": "MX", "name": "@", "preference": 10, "exchange": "mail.example.test"}, "", "10 mail.example.test."),
        (SPF, "", '"v=spf1 mx -all"'),
        ({"type": "TXT", "name": "s._domainkey", "value": LONG}, "s._domainkey", f'"{LONG[:255]}" "{LONG[255:]}"'),
        ({"type": "TXT", "name": "q", "value": 'say "é" \\ ; done'}, "q", r'"say \"\195\169\" \\ ; done"'),
        (
            {"type": "SRV", "name": "@", "service": "_imaps", "protocol": "_tcp", "priority": 0, "weight": 1,
             "port": 993, "target": "mail.example.test"},
            "_imaps._tcp",
            "0 1 993 mail.example.test.",
        ),
        (
            {"type": "TLSA", "name": "mail", "port": "_25", "protocol": "_tcp", "usage": 3, "selector": 1,
             "matching": 1, "associationData": "AB" * 32},
            "_25._tcp.mail",
            "3 1 1 " + "ab" * 32,
        ),
        (
            {"type": "CAA", "name": "@", "flag": 0, "tag": "issue", "value": "pki.example; validationmethods=dns-01"},
            "",
            '0 issue "pki.example; validationmethods=dns-01"',
        ),
        ({"type": "CNAME", "name": "autoconfig", "cname": "mail.example.test"}, "autoconfig", "mail.example.test."),
        ({"type": "NS", "name": "sub", "nameserver": "ns.example.net"}, "sub", None),
        (
            {"type": "HTTPS", "name": "www", "svcPriority": 1, "targetName": ".", "svcParams": "alpn=h2"},
            "www",
            '1 . alpn="h2"',
        ),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_every_type_is_served_and_read_back(
    live: Api, knot: Knot, item: dict[str, object], name: str, expected: str | None
) -> None:
    assert live.put({**item, "ttl": 300}).status_code == 204
    if expected is not None:
        assert knot.ask(f"{name}.{ZONE}".lstrip("."), str(item["type"])) == [expected]
    # The list must not take the server's own copy for somebody else's record.
    assert len(live.items()) == 1
    assert live.delete(item).status_code == 204
    assert live.items() == []


def test_a_double_spf_is_really_served(live: Api, knot: Knot) -> None:
    live.put(SPF)
    live.put({**SPF, "value": "v=spf1 -all"})
    assert len(knot.ask(ZONE, "TXT")) == 2


def test_somebody_elses_record_appears_in_the_list_and_can_be_deleted(live: Api, knot: Knot) -> None:
    live.put(SPF)
    challenge = dns.rdata.from_text("IN", "TXT", '"token"')
    knot.server.change(ZONE, [], {(dns.name.from_text("_acme-challenge", None), challenge): 60})
    found = [item for item in live.items() if item["name"] == "_acme-challenge"]
    assert found == [
        {"type": "TXT", "name": "_acme-challenge", "ttl": 60, "value": "token", "group": {"type": "custom"}}
    ]
    assert live.delete({"type": "TXT", "name": "_acme-challenge", "value": "token"}).status_code == 204
    assert knot.ask(f"_acme-challenge.{ZONE}", "TXT") == []


def test_a_record_taken_from_the_zone_by_hand_leaves_the_list(live: Api, knot: Knot) -> None:
    live.put(SPF, {"type": "A", "name": "mail", "address": "192.0.2.1"})
    gone = (dns.name.from_text("mail", None), dns.rdata.from_text("IN", "A", "192.0.2.1"))
    knot.server.change(ZONE, [gone], {})
    assert [item["type"] for item in live.items()] == ["TXT"]


def test_types_that_the_list_does_not_know_stay_in_the_zone(live: Api, knot: Knot) -> None:
    live.put(SPF)
    name, data = dns.name.from_text("host", None), dns.rdata.from_text("IN", "SSHFP", "4 2 " + "ab" * 32)
    knot.server.change(ZONE, [], {(name, data): 300})
    assert len(live.items()) == 1
    live.put({"type": "A", "name": "host", "address": "192.0.2.1"})
    live.delete(SPF)
    assert knot.ask(f"host.{ZONE}", "SSHFP") == ["4 2 " + "ab" * 32]


def test_an_srv_record_without_port_and_target_in_its_identity(serve: Callable[..., Api], knot: Knot) -> None:
    """After the Terraform provider's notes: a put changes the TTL alone, a delete takes whichever is there."""
    api = serve(Registry([ZONE], knot.server, coarse=True))
    old = {"type": "SRV", "name": "@", "service": "_imaps", "protocol": "_tcp", "priority": 0, "weight": 1,
           "port": 993, "target": "old.example.net"}  # fmt: skip
    api.put(old)
    api.put({**old, "target": "new.example.net", "ttl": 60})
    assert knot.ask(f"_imaps._tcp.{ZONE}", "SRV") == ["0 1 993 old.example.net."]
    assert api.delete({**old, "target": "new.example.net"}).status_code == 204
    assert api.items() == []


def test_a_name_goes_from_alias_to_address_without_a_gap(live: Api, knot: Knot) -> None:
    alias = {"type": "CNAME", "name": "mail", "cname": "old.example.net"}
    live.put(alias)
    live.put({"type": "A", "name": "mail", "address": "192.0.2.1"}, force=True)
    assert knot.ask(f"mail.{ZONE}", "CNAME") == ["old.example.net."]
    assert len(live.items()) == 2
    live.delete(alias)
    assert knot.ask(f"mail.{ZONE}", "A") == ["192.0.2.1"]


def test_a_put_and_a_delete_that_follow_each_other_are_published_as_one(serve: Callable[..., Api], knot: Knot) -> None:
    api = serve(Registry([ZONE], knot.server, delay=0.4))
    api.put(SPF)
    until(lambda: knot.ask(ZONE, "TXT") or None, "the first SPF", 10, 0.02)
    api.put({**SPF, "value": "v=spf1 -all"})
    api.delete(SPF)
    seen = {tuple(knot.ask(ZONE, "TXT"))}

    def changed() -> bool:
        seen.add(tuple(knot.ask(ZONE, "TXT")))
        return ('"v=spf1 -all"',) in seen

    until(changed, "the second SPF", 10, 0.01)
    assert {len(answer) for answer in seen} == {1}


def test_what_was_pending_at_a_crash_is_published_by_the_next_start(
    serve: Callable[..., Api], knot: Knot, tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    serve(Registry([ZONE], knot.server, delay=3600, state=state)).put(SPF)
    assert knot.ask(ZONE, "TXT") == []
    restarted = serve(Registry([ZONE], knot.server, state=state))
    assert knot.ask(ZONE, "TXT") == ['"v=spf1 mx -all"']
    assert len(restarted.items()) == 1


def test_five_thousand_records_in_pages(live: Api, knot: Knot) -> None:
    items = [{"type": "A", "name": f"h{n}", "address": f"10.{n // 250}.{n % 250}.1"} for n in range(5000)]
    for at in range(0, 5000, 500):
        assert live.put(*items[at : at + 500]).status_code == 204
    assert knot.ask(f"h4999.{ZONE}", "A") == ["10.19.249.1"]
    pages = [
        live.call("GET", params={"take": 500, "skip": skip, "orderBy": "name"}).json() for skip in range(0, 5000, 500)
    ]
    assert {item["name"] for page in pages for item in page["items"]} == {item["name"] for item in items}


def test_an_unreachable_name_server_is_500_and_says_so(serve: Callable[..., Api]) -> None:
    api = serve(Registry([ZONE], NameServer("127.0.0.1", free_port(), TSIG, timeout=0.3)))
    refused = api.put(SPF)
    assert refused.status_code == 500
    assert ZONE in refused.json()["detail"]
