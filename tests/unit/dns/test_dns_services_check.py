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
from tailwart.dns.desired import EdgeAddresses, Intent, desire
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
    return list(services.check(state, served))


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
