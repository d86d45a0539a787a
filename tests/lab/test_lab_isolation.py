"""Nobody can attack the mailbox directly: what can reach what, measured with real connections."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import topology
from tailwart.environment import Environment
from tests.lab import outside
from tests.lab.mailbox import containers, shell

MAIL_PORTS = (25, 465, 587, 143, 993)


def test_no_container_of_the_mailbox_publishes_a_port(deployed: Path) -> None:
    found = containers()
    assert set(found) == {"ts-stalwart", "stalwart"}
    for name, container in found.items():
        assert not container["HostConfig"]["PortBindings"], name
        assert not any(container["NetworkSettings"]["Ports"].values()), name


@pytest.mark.parametrize("address", [topology.MAILBOX.ipv4, topology.MAILBOX.ipv6])
def test_the_world_cannot_reach_the_mailbox(deployed: Path, address: str) -> None:
    for port in (*MAIL_PORTS, 443, 8080, 22):
        assert not outside.connects("world", address, port, timeout=2).open, f"{address}:{port}"


def test_the_edge_shows_the_world_the_mail_ports_and_nothing_else_of_the_mailbox(deployed: Path) -> None:
    edge = topology.edge(1)
    for address in (edge.ipv4, edge.ipv6):
        reached = outside.connects("world", address, 25, banner=True, timeout=20)
        assert reached.banner.startswith("220 "), reached
        for port in (465, 587, 143, 993):
            assert outside.connects("world", address, port).open, f"{address}:{port}"
        assert not outside.connects("world", address, 8080, timeout=2).open


def test_a_tailnet_node_without_a_grant_reaches_nothing(deployed: Path, environment: Environment) -> None:
    # `stranger` is control's own tailnet node: it is on the tailnet and no grant names it.
    sidecar = shell("mailbox", "docker exec ts-stalwart tailscale ip -4").split()[0]
    backends = shell("backends", "tailscale ip -4").split()[0]
    for address, port in ((sidecar, 25), (sidecar, 8080), (sidecar, 443), (backends, 5432)):
        probe = f"timeout 4 bash -c '</dev/tcp/{address}/{port}' 2>/dev/null && echo open || echo closed"
        assert shell("control", probe).strip() == "closed", f"{address}:{port}"


def test_an_edge_reaches_the_mail_ports_but_not_the_stores_nor_8080(deployed: Path, environment: Environment) -> None:
    for port, expected in ((25, "open"), (443, "open"), (8080, "closed")):
        probe = f"timeout 5 bash -c '</dev/tcp/{environment.magic_host}/{port}' 2>/dev/null && echo open || echo closed"
        assert shell("edge-1", probe).strip() == expected, port
    backends = shell("backends", "tailscale ip -4").split()[0]
    probe = f"timeout 4 bash -c '</dev/tcp/{backends}/5432' 2>/dev/null && echo open || echo closed"
    assert shell("edge-1", probe).strip() == "closed"
