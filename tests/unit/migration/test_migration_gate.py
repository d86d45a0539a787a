"""The gate of a mailbox, in network namespaces of this kernel: shut for edges and deliveries, open for itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailwart.errors import TailwartError
from tailwart.migration import gate
from tailwart.network import IMAPS, SMTP
from tailwart.runner import Completed
from tests.waiting import until

MAILBOX, EDGE = "192.0.2.1", "192.0.2.2"
_SERVE = """
import socket, sys
server, kept = socket.create_server((sys.argv[1], int(sys.argv[2]))), []
while True: kept.append(server.accept())
"""


class Network:
    """A mailbox's namespace and an edge's, joined by a cable; `docker inspect` names the mailbox's process."""

    def __init__(self, directory: Path, processes: list[subprocess.Popen[bytes]]) -> None:
        self._processes = processes
        self.mailbox, self.edge = self._namespace(), self._namespace()
        cable = f"ip link add tw0 netns {self.mailbox} type veth peer name tw0 netns {self.edge}"
        subprocess.run(["sh", "-c", cable], check=True)
        for pid, address in ((self.mailbox, MAILBOX), (self.edge, EDGE)):
            for step in (f"ip address add {address}/24 dev tw0", "ip link set tw0 up", "ip link set lo up"):
                self.inside(pid, step)
        (directory / "docker").write_text(f"#!/bin/sh\necho {self.mailbox}\n")
        (directory / "docker").chmod(0o755)
        self._path = f"{directory}:{os.environ['PATH']}"

    def _namespace(self) -> int:
        process = subprocess.Popen(["unshare", "--net", "sleep", "300"])
        self._processes.append(process)
        own, other = (Path(f"/proc/{pid}/ns/net") for pid in ("self", process.pid))
        until(lambda: own.readlink() != other.readlink(), "a namespace of its own", 10, pause=0.02)
        return process.pid

    def inside(self, pid: int, command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["nsenter", "--target", str(pid), "--net", *command.split()], check=True)

    def serve(self, pid: int, address: str, port: int) -> None:
        command = ["nsenter", "--target", str(pid), "--net", "python3", "-c", _SERVE, address, str(port)]
        self._processes.append(subprocess.Popen(command))
        until(lambda: self.reaches(pid, address, port), "the server", 10, pause=0.05)

    def reaches(self, pid: int, address: str, port: int) -> bool:
        connect = ["timeout", "2", "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}"]
        command = ["nsenter", "--target", str(pid), "--net", *connect]
        return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        done = subprocess.run(
            ["sh", "-c", script],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**os.environ, "PATH": self._path},
        )
        return Completed(done.returncode == 0, done.stdout, done.stderr)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    processes: list[subprocess.Popen[bytes]] = []
    try:
        found = Network(tmp_path, processes)
        found.serve(found.mailbox, MAILBOX, SMTP.port)
        found.serve(found.edge, EDGE, 587)
        yield found
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_closed_gate_lets_nobody_in_and_no_mail_out_until_it_opens(network: Network) -> None:
    assert network.reaches(network.edge, MAILBOX, SMTP.port)
    gate.close(network, (SMTP, IMAPS), outgoing=True, smarthost=587)
    assert gate.closed(network)
    assert not network.reaches(network.edge, MAILBOX, SMTP.port)
    assert network.reaches(network.mailbox, MAILBOX, SMTP.port), "what is inside reaches the server: the proof"
    assert not network.reaches(network.mailbox, EDGE, 587)
    gate.open_(network)
    assert not gate.closed(network)
    assert network.reaches(network.edge, MAILBOX, SMTP.port)
    assert network.reaches(network.mailbox, EDGE, 587)


def test_a_gate_that_was_closed_twice_opens_at_once_and_deliveries_of_a_serving_mailbox_go_on(
    network: Network,
) -> None:
    for _ in range(2):
        gate.close(network, (SMTP,), outgoing=False)
    assert not network.reaches(network.edge, MAILBOX, SMTP.port)
    assert network.reaches(network.mailbox, EDGE, 587)
    gate.open_(network)
    gate.open_(network)
    assert network.reaches(network.edge, MAILBOX, SMTP.port)


def test_what_is_connected_stays_so_and_is_waited_for(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_DRAIN_SECONDS", 2)
    assert gate.drain(network), "nobody is connected"
    hold = ["nsenter", "--target", str(network.edge), "--net", "bash", "-c"]
    with subprocess.Popen([*hold, f"exec 3<>/dev/tcp/{MAILBOX}/{SMTP.port}; exec sleep 60"]) as sender:
        until(lambda: not gate.drain(network), "the connection", 20)
        gate.close(network, (SMTP,), outgoing=False)
        assert not gate.drain(network), "it is still there, although the gate is shut"
        sender.kill()
    assert until(lambda: gate.drain(network), "its end", 20)


def test_without_a_sidecar_there_is_no_gate(tmp_path: Path) -> None:
    def bare(script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        return Completed(False, "", "Error: No such object: ts-stalwart")

    with pytest.raises(TailwartError, match="cannot be closed") as caught:
        gate.close(bare, (SMTP,), outgoing=True)
    assert "No such object" in caught.value.seen
