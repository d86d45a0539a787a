"""Every provider through octoDNS: keys become the library's object, and its API's own listing becomes records."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import responses
from botocore.stub import ANY, Stubber

from tailwart.errors import TailwartError
from tailwart.providers import cloudflare, definition, definitions, hetzner, ovh, route53
from tailwart.providers._octodns import OctoDns, records_of
from tailwart.providers.record import APEX, Record, record
from tests.unit.dns.recorded import ZONE

KEYS: dict[str, dict[str, str]] = {
    "cloudflare": {"cloudflare_token": "T0K"},
    "desec": {"desec_token": "T0K"},
    "hetzner": {"hetzner_token": "T0K"},
    "ovh": {"ovh_application_key": "app", "ovh_application_secret": "T0K", "ovh_consumer_key": "C0N"},
    "powerdns": {"powerdns_api_url": "https://[2001:db8::53]:8443", "powerdns_api_key": "T0K"},
    "route53": {"route53_access_key_id": "AKIA", "route53_secret_access_key": "T0K"},
}


def opened(name: str) -> OctoDns:
    """A provider with its keys."""
    known = definition(name)
    provider = known.connect(known.keys.model_validate(KEYS[name]), lambda _: None)
    assert isinstance(provider, OctoDns)
    return provider


def listed(rrsets: Any) -> list[Record]:
    """The records of a listing."""
    return sorted(entry for rrset in rrsets for entry in records_of(rrset, ZONE))


@pytest.mark.parametrize("name", sorted(KEYS))
def test_the_keys_reach_the_library(name: str) -> None:
    library = opened(name)._backend.library()
    inside = {
        "cloudflare": lambda: library._sess.headers["Authorization"],
        "desec": lambda: library.desec_api.token,
        "hetzner": lambda: library._client._hcloud._client._token,
        "ovh": lambda: library._client._application_secret + library._client._consumer_key,
        "powerdns": lambda: library._sess.headers["X-API-Key"],
        "route53": lambda: library._conn._request_signer._credentials.secret_key,
    }
    assert "T0K" in inside[name]()
    assert {"A", "AAAA", "CNAME", "MX", "TXT", "SRV", "CAA"} <= library.SUPPORTS


def test_every_octodns_provider_is_tried_here() -> None:
    assert set(KEYS) == set(definitions()) - {"spaceship", "rfc2136"}


def test_powerdns_takes_an_ipv6_address() -> None:
    library = opened("powerdns")._backend.library()
    assert (library.scheme, library.host, library.port) == ("https", "[2001:db8::53]", 8443)


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


def test_route53s_octal_escapes_and_routed_sets() -> None:
    listing = [
        {"Name": f"\\052.{ZONE}.", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]},
        {"Name": f"{ZONE}.", "Type": "TXT", "TTL": 60, "ResourceRecords": [{"Value": '"gr\\303\\274\\303\\237e" "!"'}]},
        {"Name": f"cdn.{ZONE}.", "Type": "A", "AliasTarget": {"DNSName": "d1.cloudfront.net."}},
        {
            "Name": f"w.{ZONE}.",
            "Type": "A",
            "TTL": 60,
            "SetIdentifier": "one",
            "Weight": 1,
            "ResourceRecords": [{"Value": "192.0.2.2"}],
        },
    ]
    library = SimpleNamespace(_get_zone_id=lambda _: "Z1", _load_records=lambda _: listing)
    found = {(entry.name, entry.type): entry for entry in listed(route53.listing(library, ZONE))}
    assert found["*", "A"].value == "192.0.2.1"
    assert found[APEX, "TXT"].value == "grüße!"
    assert found["cdn", "A"].locked
    assert "cloudfront" in found["cdn", "A"].value
    assert found["w", "A"].locked
    missing = SimpleNamespace(_get_zone_id=lambda _: None)
    with pytest.raises(TailwartError, match="does not know the zone"):
        list(route53.listing(missing, ZONE))


def test_ovhs_own_spf_type_is_seen_as_the_spf_it_is() -> None:
    items = [
        {"subDomain": "", "fieldType": "SPF", "ttl": 600, "target": '"v=spf1 include:mx.ovh.com -all"'},
        {"subDomain": "", "fieldType": "MX", "ttl": 600, "target": "10 mail"},
        {"subDomain": "s._domainkey", "fieldType": "DKIM", "ttl": 600, "target": "v=DKIM1; k=rsa; p=AA=="},
    ]
    found = {
        (entry.name, entry.type): entry
        for entry in listed(ovh.listing(SimpleNamespace(get_records=lambda _: items), ZONE))
    }
    assert found[APEX, "TXT"].value == "v=spf1 include:mx.ovh.com -all"
    assert found[APEX, "TXT"].locked
    assert found[APEX, "MX"].value == f"10 mail.{ZONE}.", "a name without final dot belongs to the zone"
    assert found["s._domainkey", "TXT"].value == "v=DKIM1; k=rsa; p=AA=="
    assert not found["s._domainkey", "TXT"].locked


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
def test_ovhs_refusal_is_lesson_2() -> None:
    responses.get("https://eu.api.ovh.com/1.0/auth/time", json=1)
    responses.get("https://eu.api.ovh.com/v1/auth/time", json=1)
    body = {"errorCode": "INVALID_CREDENTIAL", "message": "This credential is not valid"}
    for base in ("1.0", "v1"):
        responses.get(f"https://eu.api.ovh.com/{base}/domain/zone/{ZONE}/record", json=body, status=403)
    with pytest.raises(TailwartError) as refused:
        opened("ovh").read(ZONE)
    assert refused.value.lesson == 2
    assert "OVH_CONSUMER_KEY" in refused.value.remedy


def test_route53s_refusal_is_lesson_2() -> None:
    provider, library = route53_with_one_library()
    with Stubber(library._conn) as stub:
        stub.add_client_error("list_hosted_zones", "InvalidClientTokenId", "The token is invalid.", 403)
        with pytest.raises(TailwartError) as refused:
            provider.read(ZONE)
    assert refused.value.lesson == 2
    assert "ROUTE53_SECRET_ACCESS_KEY" in refused.value.remedy


def test_route53_changes_all_in_one_batch() -> None:
    """Requests and answers are checked by the SDK against the service's own model."""
    provider, library = route53_with_one_library()
    held = [
        {"Name": f"{ZONE}.", "Type": "TXT", "TTL": 300, "ResourceRecords": [{"Value": '"v=spf1 mx -all"'}]},
        {"Name": f"web.{ZONE}.", "Type": "CNAME", "TTL": 300, "ResourceRecords": [{"Value": "x.example."}]},
        {"Name": f"cdn.{ZONE}.", "Type": "A", "AliasTarget": ALIAS},
    ]
    zones = [{"Id": "/hostedzone/Z1", "Name": f"{ZONE}.", "CallerReference": "c", "Config": {"PrivateZone": False}}]
    with Stubber(library._conn) as stub:
        paged = {"IsTruncated": False, "MaxItems": "100"}
        stub.add_response("list_hosted_zones", {"HostedZones": zones, "Marker": "", **paged})
        stub.add_response("list_resource_record_sets", {"ResourceRecordSets": held, **paged})
        stub.add_response("list_health_checks", {"HealthChecks": [], "Marker": "", **paged})
        spf, web = f"{ZONE}.", f"web.{ZONE}."
        batch = [
            ("DELETE", web, "CNAME", "x.example.", 300),
            ("UPSERT", spf, "TXT", '"v=spf1 mx ip4:192.0.2.9 -all"', 300),
            ("CREATE", web, "A", "192.0.2.1", 600),
        ]
        changes = [
            {"Action": a, "ResourceRecordSet": {"Name": n, "Type": t, "TTL": s, "ResourceRecords": [{"Value": v}]}}
            for a, n, t, v, s in batch
        ]
        done = {"Id": "C1", "Status": "PENDING", "SubmittedAt": datetime(2026, 11, 21, tzinfo=UTC)}
        expected = {"HostedZoneId": "/hostedzone/Z1", "ChangeBatch": {"Comment": ANY, "Changes": changes}}
        stub.add_response("change_resource_record_sets", {"ChangeInfo": done}, expected)
        provider.change(
            ZONE,
            [
                record(ZONE, APEX, "TXT", "v=spf1 mx ip4:192.0.2.9 -all", 300),
                record(ZONE, "web", "A", "192.0.2.1", 600),
            ],
            [
                record(ZONE, APEX, "TXT", "v=spf1 mx -all", 300),
                record(ZONE, "web", "CNAME", "x.example.", 300),
            ],
        )
        stub.assert_no_pending_responses()


ALIAS = {"HostedZoneId": "Z2", "DNSName": "d1.cloudfront.net.", "EvaluateTargetHealth": False}


def route53_with_one_library() -> tuple[OctoDns, Any]:
    """The provider over one object of the library, whose connection can then be played."""
    library = opened("route53")._backend.library()
    return OctoDns(replace(opened("route53")._backend, library=lambda: library)), library


@responses.activate
def test_ovhs_changes_are_published_by_the_last_request() -> None:
    """After the API's console: records have ids, and a change of the zone is served after `refresh`."""
    base = "https://eu.api.ovh.com/1.0"
    responses.get(f"{base}/auth/time", json=1)
    items = {
        1: ("", "TXT", '"v=spf1 mx -all"'),
        2: ("www", "A", "192.0.2.8"),
        3: ("", "TXT", '"google-site-verification=abc"'),
    }
    responses.get(f"{base}/domain/zone/{ZONE}/record?fieldType=TXT&subDomain=", json=[1, 3])
    responses.get(f"{base}/domain/zone/{ZONE}/record?fieldType=DKIM&subDomain=", json=[])
    responses.get(f"{base}/domain/zone/{ZONE}/record", json=list(items))
    for number, (name, kind, target) in items.items():
        item = {"id": number, "subDomain": name, "fieldType": kind, "target": target, "ttl": 3600}
        responses.get(f"{base}/domain/zone/{ZONE}/record/{number}", json=item)
    responses.delete(f"{base}/domain/zone/{ZONE}/record/1", body="null")
    responses.post(f"{base}/domain/zone/{ZONE}/record", json={})
    responses.post(f"{base}/domain/zone/{ZONE}/refresh", body="null")
    new = record(ZONE, APEX, "TXT", "v=spf1 mx ip4:192.0.2.9 -all", 3600)
    opened("ovh").change(ZONE, [new], [record(ZONE, APEX, "TXT", "v=spf1 mx -all", 3600)])
    sent = [(call.request.method, call.request.path_url.rsplit("/", 1)[-1]) for call in responses.calls]
    assert [entry for entry in sent if entry[0] != "GET"] == [("POST", "record"), ("DELETE", "1"), ("POST", "refresh")]
    (posted,) = [
        call.request.body for call in responses.calls if call.request.path_url.endswith("/record") and call.request.body
    ]
    assert json.loads(posted)["target"] == new.value, "the owner's text is neither deleted nor written again"
    with pytest.raises(TailwartError, match=r"_25\._tcp TLSA cannot be changed at OVH; nothing was written"):
        opened("ovh").change(ZONE, [record(ZONE, "_25._tcp", "TLSA", f"3 1 1 {'ab' * 32}", 3600)], [])


@responses.activate
def test_ovhs_new_ttl_replaces_one_record_after_the_other() -> None:
    base = "https://eu.api.ovh.com/1.0"
    responses.get(f"{base}/auth/time", json=1)
    responses.get(f"{base}/domain/zone/{ZONE}/record?fieldType=MX&subDomain=", json=[1, 2])
    responses.get(f"{base}/domain/zone/{ZONE}/record", json=[1, 2])
    for number, target in ((1, "10 mail"), (2, f"20 other.{ZONE}.")):
        item = {"id": number, "subDomain": "", "fieldType": "MX", "target": target, "ttl": 3600}
        responses.get(f"{base}/domain/zone/{ZONE}/record/{number}", json=item)
        responses.delete(f"{base}/domain/zone/{ZONE}/record/{number}", body="null")
    responses.post(f"{base}/domain/zone/{ZONE}/record", json={})
    responses.post(f"{base}/domain/zone/{ZONE}/refresh", body="null")
    both = [record(ZONE, APEX, "MX", f"{text}.{ZONE}.", 600) for text in ("10 mail", "20 other")]
    opened("ovh").change(ZONE, both, [])
    sent = [(c.request.method, str(c.request.path_url).rsplit("/", 1)[-1]) for c in responses.calls]
    assert [entry for entry in sent if entry[0] != "GET"] == [
        ("DELETE", "1"), ("POST", "record"), ("DELETE", "2"), ("POST", "record"), ("POST", "refresh")
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(KEYS))
def test_no_secret_is_in_a_debug_log(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    opened(name)._backend.library()
    assert "T0K" not in caplog.text
    assert "C0N" not in caplog.text


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
