"""A wildcard certificate by ACME DNS-01, against a real authority and a real name server."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tailwart.stalwart.lifecycle.certificate_orders import Certificate
from tests.contract import acme, normalise
from tests.contract.installation import WITH_ADMIN, install
from tests.contract.normalise import Ids
from tests.contract.server import RECOVERY, Server
from tests.contract.transcript import exchanges
from tests.contract.wire import STRANGER, Wire
from tests.waiting import until


def _tsig(secret: str) -> dict[str, Any]:
    return {
        "@type": "Tsig", "description": "lab", "host": "127.0.0.1", "port": 53, "keyName": "lab.", "protocol": "tcp",
        "key": {"@type": "Value", "secret": secret}, "tsigAlgorithm": "hmac-sha256",
    }  # fmt: skip


def _created(server: Server, kind: str, value: dict[str, Any]) -> str:
    ((_, body),) = server.call(RECOVERY, (f"x:{kind}/set", {"create": {"a": value}}))
    assert "created" in body, body
    found: str = body["created"]["a"]["id"]
    return found


def _list(server: Server, kind: str) -> list[dict[str, Any]]:
    ((_, body),) = server.call(RECOVERY, (f"x:{kind}/get", {"ids": None}))
    found: list[dict[str, Any]] = body["list"]
    return found


def _recorded(server: Server, title: str) -> dict[str, Any]:
    exchange = next(each for each in exchanges(server.version) if each.title == title)
    found: dict[str, Any] = exchange.response["methodResponses"][0][1]["list"][0]
    return found


@pytest.fixture(scope="module")
def issued(embedded: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the small installation and one certificate."""
    home: Path = tmp_path_factory.mktemp("acme")
    # The zone's text names the host that the server had at its start.
    with embedded.running(WITH_ADMIN):
        domain = install(embedded)
    with acme.authority(embedded.space, home) as ca, embedded.running({**WITH_ADMIN, "SSL_CERT_FILE": str(ca)}):
        dns = _created(embedded, "DnsServer", _tsig(acme.TSIG))
        provider = _created(
            embedded,
            "AcmeProvider",
            {"directory": acme.DIRECTORY, "contact": {"ops@example.org": True}, "challengeType": "Dns01"},
        )
        management = {
            "certificateManagement": {"@type": "Automatic", "acmeProviderId": provider, "subjectAlternativeNames": {}},
            "dnsManagement": {"@type": "Automatic", "dnsServerId": dns, "publishRecords": {"dkim": True}},
        }
        ((_, body),) = embedded.call(RECOVERY, ("x:Domain/set", {"update": {domain: management}}))
        assert body["updated"] == {domain: None}
        until(lambda: _list(embedded, "Certificate") or None, "the certificate", seconds=60)
        until(lambda: _list(embedded, "DkimSignature") or None, "the DKIM key")
        yield embedded


def test_one_wildcard_is_obtained_and_served_at_once(issued: Server) -> None:
    (certificate,) = _list(issued, "Certificate")
    assert certificate["subjectAlternativeNames"] == {"*.example.org": True, "example.org": True}
    assert certificate.keys() == _recorded(issued, "certificates after DNS-01").keys()
    assert certificate["issuer"].startswith("CN=Pebble Intermediate CA ")
    with Wire(issued.space, 993, source=STRANGER) as wire:
        wire.start_tls()
        served = x509.load_der_x509_certificate(wire.certificate)
    assert served == x509.load_pem_x509_certificate(certificate["certificate"]["value"].encode())
    assert ssl.DER_cert_to_PEM_cert(wire.certificate).split() != []


def test_the_provider_reads_back_as_recorded(issued: Server) -> None:
    (provider,) = _list(issued, "AcmeProvider")
    recorded = {
        **_recorded(issued, "ACME provider read"),
        "directory": acme.DIRECTORY,
        "accountUri": provider["accountUri"],
        "description": f"{acme.DIRECTORY} ({provider['accountUri'].rpartition('/')[2]})",
    }
    assert Ids().differences(recorded, provider) == []
    assert provider["accountUri"].startswith("https://127.0.0.1:14000/my-account/")


def test_the_next_renewal_is_a_task_for_two_thirds_of_the_life(issued: Server) -> None:
    (task,) = (each for each in _list(issued, "Task") if each["@type"] == "AcmeRenewal")
    (certificate,) = _list(issued, "Certificate")
    assert task["status"]["@type"] == "Pending"
    assert certificate["notValidBefore"] < task["due"] < certificate["notValidAfter"]


def test_the_zone_file_recommends_the_served_key(issued: Server) -> None:
    (domain,) = _list(issued, "Domain")
    (provider,) = _list(issued, "AcmeProvider")
    recorded = _recorded(issued, "domain with automatic certificate and DNS management")
    # The recording's authority had an IPv6 address, which has no registrable domain; that of 127.0.0.1 is this.
    ca, account = "0.1", provider["accountUri"]
    issuance = f"""example.org. IN CAA 0 issue "{ca};accounturi={account}"
example.org. IN CAA 0 iodef "mailto:postmaster@example.org"
_validation-persist.example.org. IN TXT "{ca}; accounturi={account}; policy=wildcard"
"""
    # As a set: the ports of the TLSA records come in no particular order.
    assert set(_lines(domain)) == {*_lines(recorded), *normalise.text(issuance).splitlines()}


def test_a_renewal_of_a_fresh_certificate_fails_and_keeps_it(issued: Server) -> None:
    (before,) = _list(issued, "Certificate")
    (domain,) = _list(issued, "Domain")
    ordered = _created(issued, "Task", {"@type": "AcmeRenewal", "domainId": domain["id"]})
    failed = until(lambda: _renewal(issued, "Failed"), "the refused renewal")
    assert failed["id"] == ordered
    assert "is still valid; renewal is not due until" in failed["status"]["failureReason"]
    assert _list(issued, "Certificate") == [before]
    issued.call(RECOVERY, ("x:Task/set", {"destroy": [ordered]}))


def test_a_dead_dns_key_is_named_by_the_renewal(issued: Server) -> None:
    (certificate,) = _list(issued, "Certificate")
    (server,) = _list(issued, "DnsServer")
    (domain,) = _list(issued, "Domain")
    bad = {"key": {"@type": "Value", "secret": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}
    ((_, body),) = issued.call(RECOVERY, ("x:DnsServer/set", {"update": {server["id"]: bad}}))
    assert "updated" in body
    # Only without a certificate is one ordered before its time.
    issued.call(RECOVERY, ("x:Certificate/set", {"destroy": [certificate["id"]]}))
    _created(issued, "Task", {"@type": "AcmeRenewal", "domainId": domain["id"]})
    # A real server tries three times, for four minutes, before it says why.
    failed = until(lambda: _renewal(issued, "Retry"), "the failed renewal", seconds=400)
    reason = failed["status"]["failureReason"]
    assert Certificate("example.org", "d", present=False, failure=reason, has_task=True).key_is_dead, reason


def _lines(domain: dict[str, Any]) -> list[str]:
    return normalise.text(domain["dnsZoneFile"]).splitlines()


def _renewal(server: Server, status: str) -> dict[str, Any] | None:
    tasks = (each for each in _list(server, "Task") if each["@type"] == "AcmeRenewal")
    return next((task for task in tasks if task["status"]["@type"] == status), None)
