"""The matrix: its script run by real shells on loopback, its comparison with the policy, its table."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tailwart.errors import TailwartError
from tailwart.tailnet.matrix import Cell, Outcome, Source, Target, measure, parse, script, table
from tailwart.tailnet.merge import merge
from tailwart.tailnet.policy import Policy
from tests.unit.tailnet.policies import DESIRED

POLICY = Policy(merge("{}", DESIRED).text)
SMTP = Target("mailbox", "mailbox", "stalwart.tail1234.ts.net", ("tag:stalwart",), 25)
HTTP = Target("mailbox", "mailbox", "stalwart.tail1234.ts.net", ("tag:stalwart",), 8080)
RELAY = Target("smarthost", "relay", "100.64.0.10", ("tag:mail",), 587)


def cells(node: str, tag: str, output: str) -> dict[Target, Cell]:
    return {
        cell.target: cell for cell in measure(POLICY, [Source(node, (tag,), lambda _: output)], [SMTP, HTTP, RELAY])
    }


def test_what_the_policy_grants_is_open_and_the_rest_closed() -> None:
    found = cells("edge-1", "tag:reverse-proxy", "0 open\n1 closed\n2 closed\n")
    assert (found[SMTP].allowed, found[HTTP].allowed, found[RELAY].allowed) == (True, False, False)
    assert all(cell.agrees for cell in found.values())


def test_a_closed_grant_and_an_open_denial_are_reported() -> None:
    found = cells("edge-1", "tag:reverse-proxy", "0 closed\n1 refused\n2 open\n")
    assert not any(cell.agrees for cell in found.values())


def test_a_node_is_not_probed_from_itself() -> None:
    found = cells("mailbox", "tag:stalwart", "0 open\n")
    assert list(found) == [RELAY]
    assert found[RELAY].agrees


def test_a_node_that_cannot_be_reached_is_unknown() -> None:
    def unreachable(_: str) -> str:
        raise TailwartError("SSH failed")

    found = measure(POLICY, [Source("edge-1", ("tag:reverse-proxy",), unreachable)], [SMTP, HTTP])
    assert [(cell.outcome, cell.agrees) for cell in found] == [(Outcome.UNKNOWN, False)] * 2


def test_the_table_marks_what_contradicts_the_policy() -> None:
    found = [Cell("edge-1", SMTP, True, Outcome.OPEN), Cell("edge-1", HTTP, False, Outcome.OPEN)]
    shown = table(found).splitlines()
    assert "edge-1" in shown[0]
    assert "mailbox:25" in shown[1]
    assert "(!)" not in shown[1]
    assert "open (!)" in shown[2]


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_script_distinguishes_open_from_refused(shell: str, listener: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        refused = int(gone.getsockname()[1])
    targets = [Target("a", "a", "127.0.0.1", (), listener), Target("b", "b", "127.0.0.1", (), refused)]
    # This machine need not be on a tailnet to try the probes themselves.
    text = "\n".join(line for line in script(targets, [True, True]).splitlines() if "tailscale0" not in line)
    result = subprocess.run(
        [str(shutil.which(shell)), "-s"], input=text, capture_output=True, text=True, timeout=60, check=True
    )
    assert parse(result.stdout) == {0: Outcome.OPEN, 1: Outcome.REFUSED}


def test_a_host_off_the_tailnet_prints_nothing() -> None:
    if any("tailscale0" in name for _, name in socket.if_nameindex()):
        pytest.skip("this machine is on a tailnet")
    result = subprocess.run(
        ["/bin/sh", "-s"], input=script([RELAY], [True]), capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout == ""
