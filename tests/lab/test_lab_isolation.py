"""Nobody can attack the mailbox directly: what can reach what, measured with real connections."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from lab import topology
from tailwart.environment import Environment
from tests.lab import outside
from tests.lab.mailbox import containers, shell

pytestmark = pytest.mark.leaves_deployed
MAIL_PORTS = (25, 465, 587, 143, 993)


def test_no_container_of_the_mailbox_publishes_a_port(deployed: Path) -> None:
    found = containers()
    assert set(found) == {"ts-stalwart", "stalwart"}
    for name, container in found.items():
        assert not container["HostConfig"]["PortBindings"], name
        assert not any(container["NetworkSettings"]["Ports"].values()), name


@pytest.mark.parametrize("address", [topology.MAILBOX.ipv4, topology.MAILBOX.ipv6])
def test_the_world_cannot_reach_the_mailbox(deployed: Path, address: str) -> None:
    found = outside.reached("world", address, (*MAIL_PORTS, 443, 8080, 22), timeout=2)
    assert not [port for port, reached in found.items() if reached.open]


def test_the_edge_shows_the_world_the_mail_ports_and_nothing_else_of_the_mailbox(deployed: Path) -> None:
    edge = topology.edge(1)
    for address in (edge.ipv4, edge.ipv6):
        reached = outside.connects("world", address, 25, banner=True, timeout=20)
        assert reached.banner.startswith("220 "), reached
        found = outside.reached("world", address, (465, 587, 143, 993))
        assert all(reached.open for reached in found.values()), found
        assert not outside.connects("world", address, 8080, timeout=2).open


def opened(host: str, targets: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
    """The targets that a host reaches, tried side by side: each that drops silently costs the whole time."""
    probes = [
        f"{{ timeout 5 bash -c '</dev/tcp/{address}/{port}' 2>/dev/null && echo {address} {port}; }} &"
        for address, port in targets
    ]
    lines = shell(host, f"{' '.join(probes)} wait").splitlines()
    return {(address, int(port)) for address, port in (line.split() for line in lines)}


def test_a_tailnet_node_without_a_grant_reaches_nothing(deployed: Path, environment: Environment) -> None:
    # `stranger` is control's own tailnet node: it is on the tailnet and no grant names it.
    sidecar = shell("mailbox", "docker exec ts-stalwart tailscale ip -4").split()[0]
    backends = shell("backends", "tailscale ip -4").split()[0]
    assert opened("control", [(sidecar, 25), (sidecar, 8080), (sidecar, 443), (backends, 5432)]) == set()


def test_an_edge_reaches_the_mail_ports_but_not_the_stores_nor_8080(deployed: Path, environment: Environment) -> None:
    mailbox = environment.magic_host
    backends = shell("backends", "tailscale ip -4").split()[0]
    found = opened("edge-1", [(mailbox, 25), (mailbox, 443), (mailbox, 8080), (backends, 5432)])
    assert found == {(mailbox, 25), (mailbox, 443)}
