"""`MAIL_SERVICES`: a service switched on, off and kept for the tailnet is one edit, and everything follows."""

from __future__ import annotations

import re
from pathlib import Path

from lab import topology
from tests.lab import outside
from tests.lab.deploying import deploy, environment_of, variant
from tests.lab.mailbox import shell
from tests.lab.policy import policy_text
from tests.lab.test_dns_lab import findings, served
from tests.waiting import until

# From the lab's five: POP3S on, 587 off, IMAP for the tailnet only.
CHOSEN = "smtp,submissions,imap:tailnet,imaps,pop3s"


def banner(host: str, address: str, port: int) -> str:
    """What a port says first to a client on a host of the tailnet; empty when it says nothing or is closed."""
    ask = f"exec 3<>/dev/tcp/{address}/{port} && timeout 4 head -c 4 <&3"
    return shell(host, f"timeout 8 bash -c '{ask}' 2>/dev/null", check=False).strip()


def listening() -> set[int]:
    """The ports that the mailbox listens on."""
    table = shell("mailbox", "docker exec stalwart cat /proc/net/tcp /proc/net/tcp6")
    return {int(port, 16) for port in re.findall(r":([0-9A-F]{4}) [0-9A-F]+:0000 0A ", table)}


def test_a_service_on_off_and_for_the_tailnet_is_one_edit_each(deployed: Path, tmp_path: Path) -> None:
    environment = environment_of(deployed)
    edge = topology.edge(1).ipv4
    path = variant(deployed, tmp_path / "env", MAIL_SERVICES=CHOSEN, TS_MAIL_SRC="tag:postgres")
    try:
        deploy(path)
        assert {995, 143, 993} <= listening()
        assert 587 not in listening()
        for port, expected in ((995, True), (993, True), (587, False), (143, False)):
            assert outside.connects("world", edge, port, timeout=3).open is expected, f"edge, port {port}"
        # No PROXY header on the tailnet: the server greets the client itself, and only those who have the grant.
        assert banner("backends", environment.magic_host, 143) == "* OK"
        assert banner("edge-1", environment.magic_host, 143) == ""
        policy = policy_text()
        assert "tcp:995" in policy
        assert "tcp:587" not in re.sub(r'\{[^{}]*"dst":\s*\["tag:mail"\][^{}]*\}', "", policy)
        until(lambda: served(environment, "_pop3s._tcp", "SRV") or None, "_pop3s in the zone", 60)
        assert served(environment, "_imaps._tcp", "SRV")
        assert not served(environment, "_jmap._tcp", "SRV"), "no edge serves https://mail.DOMAIN"
        assert not [finding for finding in findings(path) if finding["area"] == "services"]
        assert deploy(path).changes == {}
    finally:
        deploy(deployed)
    assert {25, 465, 587, 143, 993} <= listening()
    assert 995 not in listening()
    until(lambda: not served(environment, "_pop3s._tcp", "SRV") or None, "_pop3s gone from the zone", 60)
    assert outside.connects("world", edge, 587).open
    assert not outside.connects("world", edge, 995, timeout=3).open
    assert banner("backends", environment.magic_host, 143) == "", "public services take connections from edges alone"
