"""`tailwart lab …` as a person types it, on a deployed lab."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab import credentials, topology

pytestmark = pytest.mark.leaves_deployed
TAILWART = Path(sys.executable).parent / "tailwart"


def tailwart(*words: str, expect: int = 0) -> str:
    """Standard output of a command; its error output too when it is expected to fail."""
    result = subprocess.run([TAILWART, "lab", *words], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == expect, result.stdout + result.stderr
    return result.stdout if expect == 0 else result.stdout + result.stderr


def test_a_message_in_is_read_from_outside_with_the_senders_own_address(deployed: Path) -> None:
    sent = tailwart("send", "--subject", "a test of the command", "--body", "hello inside")
    identity = sent.splitlines()[0].rpartition(" ")[2]
    read = tailwart("fetch")
    assert f"X-Lab-Message: {identity}" in read
    assert "hello inside" in read
    assert "\\u" not in read, "the ends of lines are shown as characters"
    received = tailwart("fetch", "--headers", "received").split("\n\n")[0]
    assert received.startswith("Received: ")
    world, edge = topology.WORLD, topology.edge(1)
    assert f"[{world.ipv4}]" in received or f"[{world.ipv6}]" in received
    assert edge.ipv4 not in received
    assert edge.ipv6 not in received


def test_a_message_out_is_reported_to_have_arrived(deployed: Path) -> None:
    for port in ("587", "465"):
        printed = tailwart("send", "--from", "alice", "--port", port)
        assert f"arrived at friend@{topology.OUTSIDE_DOMAIN}" in printed
        assert "DKIM-Signature" in tailwart("fetch", "--outside")


def test_an_unknown_recipient_is_reported_with_the_servers_answer(deployed: Path) -> None:
    printed = tailwart("send", "--to", f"nobody@{topology.DOMAIN}", expect=1)
    assert "550" in printed
    assert "remedy" in printed


def test_no_password_is_ever_shown(deployed: Path) -> None:
    shown = tailwart("send", "--from", "alice") + tailwart("fetch", "--outside") + tailwart("status", "--json")
    shown += tailwart("send", "--from", "carol", expect=1)
    for name, value in credentials.load().items():
        if any(word in name for word in ("PASSWORD", "SECRET", "TOKEN")):
            assert value not in shown, name


def test_the_status_is_healthy_and_the_same_in_both_forms(deployed: Path) -> None:
    document = json.loads(tailwart("status", "--json"))
    assert document["healthy"] is True
    assert Path(document["environment"]) == deployed
    text = tailwart("status")
    for host in document["hosts"]:
        assert f"{host['name']} " in text
        assert str(host["ssh_port"]) in text
    assert document["stalwart"] in text


def test_ssh_passes_the_command_and_its_exit_code(deployed: Path) -> None:
    assert tailwart("ssh", "mailbox", "hostname").strip() == "mailbox"
    tailwart("ssh", "mailbox", "exit", "7", expect=7)


def test_logs_show_a_unit_of_the_host(deployed: Path) -> None:
    assert "sshd" in tailwart("logs", "mailbox", "-u", "ssh")
