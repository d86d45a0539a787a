"""Cloudflare through octoDNS: its listing becomes records, what is new comes first, and refusals name the setting."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import responses

from tailwart.errors import TailwartError
from tailwart.providers import cloudflare
from tailwart.providers.record import APEX, record
from tests.unit.dns.octo import listed, opened
from tests.unit.dns.recorded import ZONE

CLOUDFLARE = [
    {"type": "A", "name": f"mail.{ZONE}", "content": "198.51.100.11", "ttl": 1, "proxied": True},
    {"type": "A", "name": f"www.{ZONE}", "content": "198.51.100.12", "ttl": 1, "proxied": False},
    {"type": "MX", "name": ZONE, "content": f"mail.{ZONE}", "priority": 10, "ttl": 3600},
    {"type": "TXT", "name": ZONE, "content": '"v=spf1 mx" " -all"', "ttl": 3600},
    {
        "type": "SRV",
        "name": f"_imaps._tcp.{ZONE}",
        "content": f"1 993 mail.{ZONE}",
        "ttl": 3600,
        "data": {"priority": 0, "weight": 1, "port": 993, "target": f"mail.{ZONE}"},
    },
    {
        "type": "CAA",
        "name": ZONE,
        "content": '0 issue "ca.example; accounturi=x"',
        "ttl": 3600,
        "data": {"flags": 0, "tag": "issue", "value": "ca.example; accounturi=x"},
    },
    {
        "type": "TLSA",
        "name": f"_25._tcp.mail.{ZONE}",
        "content": "3 1 1 AB",
        "ttl": 3600,
        "data": {"usage": 3, "selector": 1, "matching_type": 1, "certificate": "AB" * 32},
    },
    {"type": "CNAME", "name": f"alias.{ZONE}", "content": "x.example", "ttl": 60},
    {"type": "LOC", "name": f"here.{ZONE}", "content": "nowhere at all", "ttl": 60},
]


def test_cloudflares_fields_become_records() -> None:
    library = SimpleNamespace(
        zones={f"{ZONE}.": {"id": "z1", "name_servers": ["ada.ns.cloudflare.com"]}},
        records_per_page=100,
        _paginated_get=lambda path, per_page: iter(CLOUDFLARE) if path == "/zones/z1/dns_records" else iter(()),
    )
    found = {(entry.name, entry.type): entry for entry in listed(cloudflare.listing(library, ZONE))}
    assert found[APEX, "NS"].value == "ada.ns.cloudflare.com."
    assert found[APEX, "NS"].locked
    assert found["mail", "A"].ttl == 1, "a proxied name is not what mail needs"
    assert found["www", "A"].ttl == 300
    assert found[APEX, "MX"].value == f"10 mail.{ZONE}."
    assert found[APEX, "TXT"].value == "v=spf1 mx -all"
    assert found["_imaps._tcp", "SRV"].value == f"0 1 993 mail.{ZONE}."
    assert found[APEX, "CAA"].value == '0 issue "ca.example; accounturi=x"'
    assert found["_25._tcp.mail", "TLSA"].value == "3 1 1 " + "ab" * 32
    assert found["alias", "CNAME"].value == "x.example."
    assert found["here", "LOC"].locked


def test_cloudflare_names_the_zones_that_the_token_may_see() -> None:
    library = SimpleNamespace(zones={"other.example.": {"id": "z", "name_servers": []}})
    with pytest.raises(TailwartError, match="does not know the zone") as unknown:
        list(cloudflare.listing(library, ZONE))
    assert unknown.value.expected == "other.example."


CLOUD = "https://api.cloudflare.com/client/v4"


def cloudflare_item(number: int, rtype: str, name: str, content: str, **more: Any) -> dict[str, Any]:
    """A record as the API lists it."""
    return {"id": f"r{number}", "zone_id": "z1", "type": rtype, "name": name, "content": content, "ttl": 3600, **more}


@responses.activate
def test_cloudflare_publishes_what_is_new_before_it_removes_and_sends_nothing_else() -> None:
    """After the API's reference: one request a record, envelope with `result` and `result_info`."""
    held = [
        cloudflare_item(1, "TXT", ZONE, '"v=spf1 mx -all"'),
        cloudflare_item(2, "TXT", ZONE, '"google-site-verification=abc"'),
        cloudflare_item(3, "CNAME", f"web.{ZONE}", "elsewhere.example"),
        cloudflare_item(4, "A", f"old.{ZONE}", "192.0.2.4"),
    ]
    zones = [{"id": "z1", "name": ZONE, "name_servers": ["ada.ns.cloudflare.com"]}]
    for path, result in (("/zones", zones), ("/zones/z1/dns_records", held)):
        info = {"page": 1, "per_page": 50, "count": len(result), "total_count": len(result)}
        responses.get(f"{CLOUD}{path}", json={"success": True, "result": result, "result_info": info})
    responses.post(f"{CLOUD}/zones/z1/dns_records", json={"success": True, "result": {}})
    for each in held:
        responses.put(f"{CLOUD}/zones/z1/dns_records/{each['id']}", json={"success": True, "result": {}})
        responses.delete(f"{CLOUD}/zones/z1/dns_records/{each['id']}", json={"success": True, "result": {}})
    opened("cloudflare").change(
        ZONE,
        [
            record(ZONE, APEX, "TXT", "v=spf1 mx ip4:192.0.2.9 -all", 3600),
            record(ZONE, "web", "A", "192.0.2.1", 3600),
            record(ZONE, APEX, "MX", f"10 mail.{ZONE}.", 3600),
        ],
        [
            record(ZONE, APEX, "TXT", "v=spf1 mx -all", 3600),
            record(ZONE, "web", "CNAME", "elsewhere.example.", 3600),
            record(ZONE, "old", "A", "192.0.2.4", 3600),
        ],
    )
    sent = []
    for call in responses.calls:
        if call.request.method != "GET":
            body = json.loads(call.request.body or "{}")
            sent.append((call.request.method, str(call.request.path_url).rsplit("/", 1)[-1], body.get("content")))
    assert sent[0] == ("POST", "dns_records", f"mail.{ZONE}.")
    assert ("PUT", "r1", '"v=spf1 mx ip4:192.0.2.9 -all"') in sent, "replaced in one request: never two"
    assert sent.index(("DELETE", "r3", None)) + 1 == sent.index(("POST", "dns_records", "192.0.2.1"))
    assert sent[-1] == ("DELETE", "r4", None)
    assert {entry[1] for entry in sent} == {"dns_records", "r1", "r2", "r3", "r4"}
    assert all(entry[2] == '"google-site-verification=abc"' for entry in sent if entry[1] == "r2"), "kept as it was"


@responses.activate
@pytest.mark.parametrize(("status", "lesson"), [(403, 2), (401, 2), (429, None)])
def test_cloudflares_refusals_name_the_setting(status: int, lesson: int | None) -> None:
    body = {"success": False, "errors": [{"code": 9109, "message": "Invalid access token"}], "result": None}
    responses.get(f"{CLOUD}/zones", json=body, status=status)
    with pytest.raises(TailwartError) as refused:
        opened("cloudflare").read(ZONE)
    assert refused.value.lesson == lesson
    assert ("CLOUDFLARE_TOKEN" in refused.value.remedy) is (lesson == 2)
    assert "T0K" not in str(refused.value)
