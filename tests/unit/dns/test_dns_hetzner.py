"""Hetzner through octoDNS: one record set at a time, what goes comes last."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import responses

from tailwart.errors import TailwartError
from tailwart.providers import hetzner
from tailwart.providers.record import APEX, record
from tests.unit.dns.octo import listed, opened
from tests.unit.dns.recorded import ZONE


def test_hetzners_protected_sets_are_locked_and_its_errors_are_no_empty_zone() -> None:
    rrsets = [
        SimpleNamespace(name="@", type="TXT", ttl=None, records=[SimpleNamespace(value='"a" "b"')], protection=None),
        SimpleNamespace(
            name="www", type="A", ttl=60, records=[SimpleNamespace(value="192.0.2.1")], protection={"change": True}
        ),
    ]
    zone = SimpleNamespace(ttl=7200, get_rrset_all=lambda: rrsets)
    client = SimpleNamespace(_zones=SimpleNamespace(get=lambda _: zone))
    text, www = listed(hetzner.listing(SimpleNamespace(_client=client), ZONE))
    assert (text.value, text.ttl, text.locked) == ("ab", 7200, False)
    assert www.locked


@responses.activate
@pytest.mark.parametrize(
    ("code", "status", "expected"), [("unauthorized", 401, "refused the key"), ("not_found", 404, "know")]
)
def test_hetzners_refusals_are_told_apart(code: str, status: int, expected: str) -> None:
    responses.get(
        f"https://api.hetzner.cloud/v1/zones/{ZONE}", json={"error": {"code": code, "message": "no"}}, status=status
    )
    with pytest.raises(TailwartError, match=expected):
        opened("hetzner").read(ZONE)


@responses.activate
def test_hetzner_changes_one_record_set_at_a_time_and_removes_last() -> None:
    """After the API's reference: actions on record sets, each answered with an action."""
    api = "https://api.hetzner.cloud/v1/zones"
    zone = {"id": 42, "name": ZONE, "ttl": 3600, "mode": "primary"}
    held = [
        {
            "id": "@/TXT",
            "name": "@",
            "type": "TXT",
            "ttl": 3600,
            "records": [{"value": '"v=spf1 mx -all"'}],
            "zone": 42,
        },
        {"id": "old/A", "name": "old", "type": "A", "ttl": 3600, "records": [{"value": "192.0.2.4"}], "zone": 42},
        {
            "id": "web/CNAME",
            "name": "web",
            "type": "CNAME",
            "ttl": 60,
            "records": [{"value": "x.example."}],
            "zone": 42,
        },
    ]
    meta = {"pagination": {"page": 1, "per_page": 50, "previous_page": None, "next_page": None, "last_page": 1}}
    responses.get(api, json={"zones": [zone], "meta": meta})
    for identifier in (ZONE, 42):
        responses.get(f"{api}/{identifier}", json={"zone": zone})
        responses.get(f"{api}/{identifier}/rrsets", json={"rrsets": held, "meta": meta})
    action = {"action": {"id": 1, "status": "success", "command": "x", "progress": 100, "resources": [], "error": None}}
    responses.post(f"{api}/42/rrsets", json={"rrset": held[0], **action})
    responses.post(f"{api}/42/rrsets/@/TXT/actions/set_records", json=action)
    responses.post(f"{api}/42/rrsets/@/TXT/actions/change_ttl", json=action)
    responses.delete(f"{api}/42/rrsets/old/A", json=action)
    responses.delete(f"{api}/42/rrsets/web/CNAME", json=action)
    opened("hetzner").change(
        ZONE,
        [
            record(ZONE, APEX, "TXT", "v=spf1 mx ip4:192.0.2.9 -all", 600),
            record(ZONE, "web", "A", "192.0.2.1", 600),
            record(ZONE, "_imaps._tcp", "SRV", f"0 1 993 mail.{ZONE}.", 600),
        ],
        [
            record(ZONE, APEX, "TXT", "v=spf1 mx -all", 3600),
            record(ZONE, "old", "A", "192.0.2.4", 3600),
            record(ZONE, "web", "CNAME", "x.example.", 60),
        ],
    )
    sent = [call.request for call in responses.calls if call.request.method != "GET"]
    paths = [(request.method, str(request.path_url).removeprefix("/v1/zones/42/rrsets")) for request in sent]
    assert paths == [
        ("POST", ""),
        ("POST", "/@/TXT/actions/set_records"),
        ("POST", "/@/TXT/actions/change_ttl"),
        ("DELETE", "/web/CNAME"),
        ("POST", ""),
        ("DELETE", "/old/A"),
    ]
    assert json.loads(sent[0].body or "{}")["records"] == [{"value": f"0 1 993 mail.{ZONE}."}]
    assert json.loads(sent[1].body or "{}") == {"records": [{"value": '"v=spf1 mx ip4:192.0.2.9 -all"'}]}
    assert json.loads(sent[2].body or "{}") == {"ttl": 600}
    assert json.loads(sent[4].body or "{}")["name"] == "web"
