"""OVH through octoDNS: its own types, and changes that the last request publishes."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import responses

from tailwart.errors import TailwartError
from tailwart.providers import ovh
from tailwart.providers.record import APEX, record
from tests.unit.dns.octo import listed, opened
from tests.unit.dns.recorded import ZONE


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
