"""`dns check` compares the SRV records that the zone serves with what answers: on real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from tailwart import network
from tailwart.dns.check import services
from tailwart.dns.check.findings import Finding, State
from tailwart.dns.desired import desire
from tailwart.dns.intent import EdgeAddresses, Intent
from tailwart.network import IMAPS, Services
from tailwart.providers.record import Record, record
from tests.daemons import free_port

ZONE = "example.org"
EDGE = EdgeAddresses("edge-1", IPv4Address("127.0.0.1"))


@pytest.fixture
def imaps(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port that stands for 993, which a test cannot bind; nobody listens yet."""
    port = free_port()
    moved = tuple(replace(item, port=port) if item is IMAPS else item for item in network.MAIL_SERVICES)
    monkeypatch.setattr(network, "MAIL_SERVICES", moved)
    yield port


def findings(port: int, chosen: str = "smtp,imaps", target: str = "mail.example.org.") -> list[Finding]:
    state = desire(Intent(ZONE, ZONE, edges=(EDGE,), services=Services.parse(chosen)))
    served: dict[tuple[str, str], list[Record]] = {
        ("_imaps._tcp", "SRV"): [record(ZONE, "_imaps._tcp", "SRV", f"0 1 {port} {target}", 3600)]
    }
    return list(services.check(state, served, services.connecting_once()))


def test_a_record_whose_port_answers_is_right(imaps: int) -> None:
    with socket.create_server(("127.0.0.1", imaps)):
        (finding,) = findings(imaps)
    assert finding.state is State.OK


def test_a_record_whose_port_is_silent_is_wrong_and_names_the_edge(imaps: int) -> None:
    (finding,) = findings(imaps)
    assert finding.state is State.WRONG
    assert "edge-1" in finding.subject
    assert "--limit edge-1" in finding.remedy


def test_a_record_for_a_service_that_is_not_public_is_wrong_without_a_connection(imaps: int) -> None:
    for chosen in ("smtp", "smtp,imaps:tailnet"):
        (finding,) = findings(imaps, chosen)
        assert finding.state is State.WRONG
        assert "no edge serves" in finding.detail


def test_records_for_other_hosts_and_the_target_that_says_no_are_left_alone(imaps: int) -> None:
    assert findings(imaps, target="imap.provider.example.") == []
    assert findings(0, target=".") == []


def test_a_port_is_connected_to_once_however_many_records_and_zones_lead_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, int]] = []

    def connection(address: tuple[str, int], timeout: float) -> socket.socket:
        made.append(address)
        raise ConnectionRefusedError(f"no server within {timeout} s")

    monkeypatch.setattr(socket, "create_connection", connection)
    connect = services.connecting_once()
    edges = (replace(EDGE, https=True), EdgeAddresses("edge-2", IPv4Address("127.0.0.2")))
    found: list[Finding] = []
    for zone in (ZONE, "example.net"):
        state = desire(Intent(zone, ZONE, edges=edges, web_mail=True))
        served = {
            (label, "SRV"): [record(zone, label, "SRV", f"0 1 {port} mail.{ZONE}.", 3600)]
            for label, port in (("_jmap._tcp", 443), ("_caldavs._tcp", 443), ("_imaps._tcp", 993))
        }
        found += services.check(state, served, connect)
    assert sorted(made) == [("127.0.0.1", 443), ("127.0.0.1", 993), ("127.0.0.2", 993)]
    assert len(found) == 12
    mail_only = [finding for finding in found if "does not serve" in finding.detail]
    assert {finding.subject for finding in mail_only} >= {f"_jmap._tcp.{ZONE} at edge-2"}
    assert not any(finding.required for finding in mail_only)
