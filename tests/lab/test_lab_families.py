"""Edges with IPv4 alone and IPv6 alone: each is a whole door, and nothing promises what it does not have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import dotenv, lifecycle, topology
from tests.lab import outside
from tests.lab.deploying import deploy, environment_of
from tests.lab.mailbox import shell
from tests.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

V4, V6 = topology.edge(1), topology.edge(2)
# Addresses that others reach: the tailnet's own are on every node.
_OUTSIDE = "ip -o address show scope global | grep -c -E '{}'"


@pytest.fixture(scope="module")
def families(lab_environment: Path) -> Iterator[Path]:
    """The first edge has IPv4 alone, a second one IPv6 alone; one edge with both afterwards."""
    lifecycle.up(2, {V4.name: "v4", V6.name: "v6"})
    deploy(dotenv.path(), "--data", "dns_allow_deletions=yes")
    yield dotenv.path()
    lifecycle.up(1, {V4.name: "both", V6.name: "both"})
    deploy(dotenv.path(), "--data", "dns_allow_deletions=yes")


def answers(name: str, kind: str) -> list[str]:
    """What the world's resolver says."""
    return shell("world", f"dig +short {kind} {name} @127.0.0.1").split()


def test_an_edge_with_one_family_is_a_whole_door(families: Path) -> None:
    environment = environment_of(families)
    assert [(edge.ipv4 is None, edge.ipv6 is None) for edge in environment.edges] == [(False, True), (True, False)]
    assert shell(V4.name, _OUTSIDE.format("2001:db8:"), check=False).strip() == "0"
    assert shell(V6.name, _OUTSIDE.format("198[.]51[.]100"), check=False).strip() == "0"

    user = environment.accounts[0]
    address, password = f"{user.name}@{environment.domain}", user.password.get_secret_value()
    for door, client in ((V4.ipv4, outside.WORLD_ADDRESS), (V6.ipv6, topology.WORLD.ipv6)):
        token = outside.mail_in(address, door)
        message = outside.read_back(address, password, token, door)
        assert client in message.get_all("Received", [])[0], "the server sees the client's own address"
    for missing in (V4.ipv6, V6.ipv4):
        assert not outside.connects("world", missing, 25).open

    until(lambda: answers(environment.mail_host, "AAAA") == [V6.ipv6], "the records of both", 60)
    assert answers(environment.mail_host, "A") == [V4.ipv4]
    assert deploy(families).changes == {}
