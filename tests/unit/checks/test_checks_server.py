"""Checks of the server on objects as its API gives them; what plans and releases are has tests of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tailwart.checks.model import Verdict
from tailwart.checks.server import SERVER
from tailwart.checks.server_facts import ServerFacts
from tailwart.checks.tailnet import TAILNET
from tailwart.checks.zone import ZONE
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.network import TAILNET_RANGES
from tailwart.stalwart.accounts.bans import Banned
from tailwart.stalwart.accounts.queued import Queued, Recipient
from tailwart.stalwart.lifecycle.certificate_orders import Certificate
from tailwart.stalwart.lifecycle.second_server import Client
from tailwart.stalwart.lifecycle.server import Observed
from tailwart.stalwart.protocol.failures import LoginRefused
from tests.unit.checks import test_checks_keys as keys
from tests.unit.checks.sample import environment

NOW = keys.NOW
SETTINGS = environment(
    acme_directory="https://acme.example/dir", stalwart_store="postgres", stalwart_db_host="db.tail1"
)
NAMES = {"*.example.org": True, "example.org": True}


def certificate(days: int = 60, issuer: str = "CN=R12", *names: str) -> dict[str, Any]:
    end = NOW + timedelta(days=days)
    named = dict.fromkeys(names, True) if names else NAMES
    return {"subjectAlternativeNames": named, "notValidAfter": f"{end:%Y-%m-%dT%H:%M:%SZ}", "issuer": issuer}


def task(kind: str, status: str, reason: str = "") -> dict[str, Any]:
    return {"@type": kind, "domainId": "d1", "status": {"@type": status, "failureReason": reason}}


def listener(name: str, *trusted: str) -> dict[str, Any]:
    return {"name": name, "overrideProxyTrustedNetworks": dict.fromkeys(trusted, True)}


HEALTHY: dict[str, list[dict[str, Any]]] = {
    "Certificate": [certificate()],
    "Task": [task("AcmeRenewal", "Pending")],
    "AcmeProvider": [{"directory": "https://acme.example/dir", "challengeType": "Dns01"}],
    "AllowedIp": [{"address": text} for text in (*TAILNET_RANGES, "192.0.2.1", "192.0.2.2")],
    "NetworkListener": [listener(each.name, *TAILNET_RANGES) for each in SETTINGS.mail_services.public],
    "SystemSettings": [{"proxyTrustedNetworks": {"10.0.0.0/8": False}}],
}


def facts(settings: Environment = SETTINGS, **objects: list[dict[str, Any]]) -> ServerFacts:
    """A healthy server, but for these objects."""
    found = keys.facts([keys.signature()])
    held = {**found.objects, **{kind: tuple(each) for kind, each in {**HEALTHY, **objects}.items()}}
    return replace(found, environment=settings, objects=held)


def verdict(found: ServerFacts, identifier: str) -> tuple[Verdict, str]:
    return keys.verdict(found, identifier)


MX_FIRST_V6 = {"name": "mx", "@type": "Mx", "ipLookupStrategy": "v6ThenV4"}


def waiting(hours: float) -> Queued:
    created = f"{NOW - timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"
    return Queued("q1", "a@example.org", created, 1, (Recipient("b@x.example", "Scheduled", 4, "", "451 busy"),))


@pytest.mark.parametrize(
    "identifier",
    [
        "login",
        "ipv6-first",
        "queue",
        "tasks",
        "certificate",
        "dns-01",
        "dkim",
        "ban-allow-list",
        "no-edge-banned",
        "proxy-trust",
    ],
)
def test_a_healthy_server_passes(identifier: str) -> None:
    assert verdict(facts(), identifier) == (Verdict.PASSED, "")


@pytest.mark.parametrize(
    ("identifier", "found", "seen"),
    [
        ("queue", replace(facts(), queue_length=201), "201 messages wait"),
        ("queue", replace(facts(), queue=[waiting(2)]), "4 tries: 451 busy"),
        ("tasks", facts(Task=[task("AcmeRenewal", "Failed", "no such host")]), "AcmeRenewal: no such host"),
        ("certificate", facts(Certificate=[certificate(-1)]), "self-signed one"),
        ("certificate", facts(Certificate=[certificate(3)]), "valid until 2026-11-30, 3 days"),
        ("certificate", facts(Certificate=[certificate(issuer="CN=rcgen self signed cert")]), "self-signed by"),
        (
            "certificate",
            facts(Certificate=[certificate(), certificate(3, "CN=R12", "mta-sts.example.org")]),
            "3 days (mta-sts.example.org)",
        ),
        ("ipv6-first", replace(facts(MtaRoute=[MX_FIRST_V6]), ipv6_egress=False), "route mx asks for IPv6 first"),
        ("dns-01", facts(AcmeProvider=[{"directory": "d", "challengeType": "Http01"}]), "challenge Http01"),
        ("dns-01", facts(Task=[task("AcmeRenewal", "Pending")] * 2), "2 renewals compete"),
        ("dkim", facts(DkimSignature=[keys.signature(**{"@type": "Dkim1Ed25519Sha256"})]), "is Dkim1Ed25519Sha256"),
        ("dkim", facts(DkimSignature=[keys.signature(stage="retired")]), "no active key"),
        ("ban-allow-list", facts(AllowedIp=HEALTHY["AllowedIp"][:3]), "192.0.2.2 is not on the list"),
        ("proxy-trust", facts(NetworkListener=HEALTHY["NetworkListener"][1:]), "smtp does not trust"),
        (
            "proxy-trust",
            facts(SystemSettings=[{"proxyTrustedNetworks": {"100.64.0.0/10": True}}]),
            "all listeners trust 100.64.0.0/10",
        ),
        ("one-instance", replace(facts(), others=[Client("100.64.0.9", 4, 1)]), "100.64.0.9 has 4 connections"),
    ],
)
def test_each_check_fails_for_what_it_is_about(identifier: str, found: ServerFacts, seen: str) -> None:
    result, said = verdict(found, identifier)
    assert (result, seen in said) == (Verdict.FAILED, True), said


@pytest.mark.parametrize(
    ("identifier", "found", "seen"),
    [
        ("certificate", facts(SETTINGS.model_copy(update={"acme_directory": None})), "ACME_DIRECTORY"),
        ("dns-01", facts(SETTINGS.model_copy(update={"acme_directory": None})), "ACME_DIRECTORY"),
        ("one-instance", facts(environment(stalwart_store="rocksdb")), "embedded"),
    ],
)
def test_what_the_installation_does_not_have(identifier: str, found: ServerFacts, seen: str) -> None:
    result, said = verdict(found, identifier)
    assert result is Verdict.SKIPPED and seen in said


@pytest.mark.parametrize(
    ("identifier", "found"),
    [
        ("dkim", facts(Domain=[{"id": "d1", "name": "other.example"}])),
        ("dns-01", facts(Domain=[{"id": "d1", "name": "other.example"}])),
        ("one-instance", replace(facts(), others=TailwartError("Postgres does not answer Stalwart's role"))),
        ("version", replace(facts(), running="")),
        ("ipv6-first", facts(MtaRoute=[MX_FIRST_V6])),
        ("settings", facts()),
    ],
)
def test_what_the_server_does_not_say_is_never_green(identifier: str, found: ServerFacts) -> None:
    assert verdict(found, identifier)[0] is Verdict.UNKNOWN


def observed(**more: Any) -> ServerFacts:
    found = facts()
    return replace(found, observed=cast(Observed, SimpleNamespace(**{**vars(found.observed), **more})))


def test_a_renewal_that_fails_says_why() -> None:
    dead = Certificate("example.org", "d1", True, "spaceship: 401 unauthorized", True)
    result, seen = verdict(observed(certificates=(dead,)), "renewal")
    assert result is Verdict.FAILED and "the old certificate stays: spaceship: 401" in seen and "lesson 2" in seen
    assert verdict(observed(certificates=(replace(dead, failure=""),)), "renewal")[0] is Verdict.PASSED


def test_a_release_that_was_not_tested() -> None:
    result, seen = verdict(replace(facts(), running="0.15.3"), "version")
    assert result is Verdict.FAILED and "0.15.3; tested are" in seen


def test_settings_that_differ_are_named() -> None:
    change = SimpleNamespace(kind="MtaRoute", name="mx")
    planned = SimpleNamespace(document=lambda _: SimpleNamespace(changes=[change]))
    result, seen = verdict(observed(planned=planned), "settings")
    assert result is Verdict.FAILED and seen == "MtaRoute mx"


def test_an_edge_that_is_banned() -> None:
    banned = Banned("b1", ip_network("192.0.2.2"), "manual", "", "")
    result, seen = verdict(replace(facts(), bans=(banned,)), "no-edge-banned")
    assert result is Verdict.FAILED and "192.0.2.2 is banned" in seen


def test_an_old_certificate_beside_its_successor_is_no_failure() -> None:
    both = facts(Certificate=[certificate(3), certificate(60)])
    assert verdict(both, "certificate") == (Verdict.PASSED, "")
    assert list(both.ages()) == [("example.org", NOW + timedelta(days=60))]


def test_a_refused_login_is_one_failure_and_everything_else_is_unknown() -> None:
    refused = LoginRefused("Stalwart refused the administrator's login", seen="HTTP 401", remedy="look")
    results = SERVER.run(refused, "mailbox", lambda _: True)
    (failed,) = [item for item in results if item.verdict is not Verdict.UNKNOWN]
    assert (failed.check.id, failed.verdict, failed.check.lesson) == ("server.login", Verdict.FAILED, 17)
    assert failed.seen == ("Stalwart refused the administrator's login", "HTTP 401") and "recover" in failed.remedy


def test_a_plane_that_does_not_answer_is_never_green() -> None:
    silent = TailwartError("no answer", seen="refused", remedy="look")
    for found in (
        SERVER.run(silent, "mailbox", lambda _: True),
        TAILNET.run(silent, "tailnet", lambda _: True),
        ZONE.run(silent, "zone", lambda _: True),
    ):
        assert found and {item.verdict for item in found} == {Verdict.UNKNOWN}
        assert all(item.seen == ("no answer", "refused") and item.remedy == "look" for item in found)
