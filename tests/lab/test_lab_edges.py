"""Two edges in the inventory: both are doors to the same mailbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import dotenv, lifecycle, topology
from tests.lab import outside
from tests.lab.deploying import deploy, environment_of


@pytest.fixture
def two_edges(lab_environment: Path) -> Iterator[Path]:
    """The lab's `.env` with a second edge host; back to one edge afterwards."""
    lifecycle.up(2)
    yield dotenv.path()
    lifecycle.up(1)
    deploy(dotenv.path())


def test_two_edges_both_serve_and_the_second_run_changes_nothing(two_edges: Path) -> None:
    environment = environment_of(two_edges)
    assert [edge.name for edge in environment.edges] == ["edge-1", "edge-2"]
    deploy(two_edges)
    assert deploy(two_edges).changes == {}
    user = environment.accounts[0]
    address = f"{user.name}@{environment.domain}"
    for number in (1, 2):
        door = topology.edge(number).ipv4
        token = outside.mail_in(address, door)
        message = outside.read_back(address, user.password.get_secret_value(), token, door)
        assert f"[{outside.WORLD_ADDRESS}]" in message.get_all("Received", [])[0]
