"""Addresses, ports and names of the lab, against what the other parts of the project assume."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address, ip_network

import pytest

from lab import topology
from tailwart.errors import TailwartError

ALL = (*topology.hosts(topology.MAX_EDGES), topology.SPARE)


def test_addresses_are_inside_their_network_and_unique() -> None:
    seen: Counter[str] = Counter()
    for host in ALL:
        for network, v4, v6 in host.addresses:
            assert v4 in ip_network(network.v4)
            assert v6 in ip_network(network.v6)
            seen.update((str(v4), str(v6)))
    assert max(seen.values()) == 1


@pytest.mark.parametrize(
    ("name", "v4", "v6", "port"),
    [
        ("control", "198.51.100.2", "2001:db8:100::2", 22002),
        ("edge-1", "198.51.100.11", "2001:db8:100::11", 22011),
        ("edge-2", "198.51.100.12", "2001:db8:100::12", 22012),
        ("world", "198.51.100.23", "2001:db8:100::23", 22023),
        ("relay", "198.51.100.25", "2001:db8:100::25", 22025),
        ("mailbox", "10.77.0.10", "2001:db8:200::10", 22010),
        ("spare", "10.77.0.30", "2001:db8:200::30", 22030),
        ("backends", "10.77.0.20", "2001:db8:200::20", 22020),
    ],
)
def test_every_host_has_its_place(name: str, v4: str, v6: str, port: int) -> None:
    host = topology.host(name)
    assert (host.ipv4, host.ipv6, host.ssh_port) == (v4, v6, port)


def test_the_resolver_is_world_and_the_gateways_are_control() -> None:
    assert topology.WORLD.ipv4 == topology.RESOLVER
    addresses = {ip_address(str(each)) for _, v4, v6 in topology.CONTROL.addresses for each in (v4, v6)}
    for network in (topology.INTERNET, topology.HOME):
        assert ip_address(network.gateway_v4) in addresses
        assert ip_address(network.gateway_v6) in addresses


def test_control_is_the_router_and_has_no_way_out_itself() -> None:
    assert (topology.CONTROL.router_v4, topology.CONTROL.router_v6) == ("", "")
    assert topology.MAILBOX.router_v4 == "10.77.0.2"
    assert topology.WORLD.router_v6 == "2001:db8:100::2"


def test_published_ports_do_not_collide() -> None:
    ports = [host.ssh_port for host in ALL] + [topology.published(port) for port in topology.CONTROL.publish]
    assert len(ports) == len(set(ports))


def test_the_port_base_moves_every_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_PORT_BASE", "31000")
    assert topology.MAILBOX.ssh_port == 31010
    assert topology.published(8201) == 31081


@pytest.mark.parametrize("value", ["", "ssh", "80", "99999", "-1"])
def test_an_unusable_port_base_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LAB_PORT_BASE", value)
    with pytest.raises(TailwartError, match="LAB_PORT_BASE"):
        topology.port_base()


@pytest.mark.parametrize("edges", [-1, 0, 9])
def test_an_impossible_number_of_edges_is_refused(edges: int) -> None:
    with pytest.raises(TailwartError, match="--edges"):
        topology.hosts(edges)


def test_an_unknown_host_is_answered_with_the_known_ones() -> None:
    with pytest.raises(TailwartError, match="control, world, backends") as caught:
        topology.host("mailbx")
    assert "'mailbx'" in str(caught.value)
