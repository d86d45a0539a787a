"""Route 53 through octoDNS: its escapes and aliases, and one batch a change, checked by the SDK's own model."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from tailwart.errors import TailwartError
from tailwart.providers import route53
from tailwart.providers._octodns import OctoDns
from tailwart.providers.record import APEX, record
from tests.unit.dns.octo import listed, opened
from tests.unit.dns.recorded import ZONE


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
