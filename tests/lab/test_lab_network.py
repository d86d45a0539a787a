"""The container's own IPv6 egress, and what survives taking the containers down."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address
from pathlib import Path

import pytest

from lab import topology
from tailwart.environment import Environment
from tests.lab.deploying import deploy
from tests.lab.mailbox import DIRECTORY, containers, shell
from tests.lab.verifying import verify
from tests.waiting import until

pytestmark = pytest.mark.leaves_deployed
PORT = 4646


@pytest.fixture
def listener() -> Iterator[str]:
    """A listener on world that speaks IPv6 only, and the file in which it notes who came."""
    note = f"/tmp/witness-{PORT}"
    unit = "lab-test-witness"
    shell("world", f"systemctl reset-failed {unit} 2>/dev/null; systemctl stop {unit} 2>/dev/null; rm -f {note}; true")
    shell(
        "world",
        f"systemd-run --quiet --unit {unit} socat TCP6-LISTEN:{PORT},ipv6only=1,fork,reuseaddr"
        f" SYSTEM:'echo $SOCAT_PEERADDR >> {note}'",
    )
    until(lambda: f":{PORT} " in shell("world", "ss -Hltn") or None, "the IPv6 witness on world")
    yield note
    # A unit that was ended while it served counts as failed, and a host with one as degraded.
    shell("world", f"systemctl stop {unit}; systemctl reset-failed {unit} 2>/dev/null; rm -f {note}")


def reach_the_witness() -> str:
    """Connect from inside the sidecar's namespace to world's IPv6 address."""
    return shell("mailbox", f"docker exec ts-stalwart nc -z -w 5 {topology.WORLD.ipv6} {PORT}", check=False)


def test_the_namespace_reaches_an_ipv6_only_listener_through_the_ula(
    deployed: Path, environment: Environment, listener: str
) -> None:
    inside = shell("mailbox", "docker exec ts-stalwart ip -6 -o addr show scope global")
    assert str(environment.mailbox_ula.network_address).rstrip(":") in inside
    reach_the_witness()
    seen = until(
        lambda: shell("world", f"cat {listener} 2>/dev/null", check=False).strip() or None, "a connection over IPv6"
    )
    peers = {str(IPv6Address(line.strip("[]"))) for line in seen.split()}
    assert peers == {topology.MAILBOX.ipv6}, "not masqueraded to the host's own address"


def test_host_ipv6_is_no_evidence_the_check_is_made_inside(deployed: Path, listener: str) -> None:
    """Lesson 9: the host still reaches the outside, the container does not: only a check from inside shows it."""
    rule = "-o eth+ -s fd00:7a17:600d::/64 -j REJECT"
    shell("mailbox", f"ip6tables -I FORWARD {rule}")
    try:
        host_side = shell(
            "mailbox", f"timeout 5 bash -c '</dev/tcp/{topology.WORLD.ipv6}/{PORT}' && echo open", check=False
        )
        assert "open" in host_side
        before = shell("world", f"wc -l < {listener} 2>/dev/null || echo 0", check=False)
        reach_the_witness()
        assert shell("world", f"wc -l < {listener} 2>/dev/null || echo 0", check=False) == before
        verdict = verify(deployed, "-k", "ipv6-egress", expect=1)
        assert "lesson 9" in verdict
    finally:
        shell("mailbox", f"ip6tables -D FORWARD {rule}")


def mounts() -> dict[str, list[str]]:
    """Container → where each of its mounts comes from."""
    return {
        name: sorted(f"{mount['Destination']} {mount.get('Name') or mount['Source']}" for mount in item["Mounts"])
        for name, item in containers().items()
    }


def test_mounts_and_settings_survive_down_and_up(deployed: Path) -> None:
    before = mounts()
    shell("mailbox", f"cd {DIRECTORY} && docker compose down && docker compose up -d --wait", timeout=300)
    assert mounts() == before
    assert not deploy(deployed, "--limit", "mailbox").changes
