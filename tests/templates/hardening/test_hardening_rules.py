"""The rules and settings of a hardened host, read by nft, sshd and systemd, and felt by packets."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tailwart.hosts.hardening import switch, texts
from tests.waiting import until

SERVER = """
import socket, sys
server = socket.create_server(("", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
while True: server.accept()[0].close()
"""


def run(*words: str, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=60, check=check)


@pytest.fixture
def network() -> Iterator[str]:
    """Two namespaces with a cable between them: `…-a` (192.0.2.1, 2001:db8::1) and `…-b` (.2, ::2)."""
    if os.geteuid() != 0 or not shutil.which("nft") or not shutil.which("ip"):
        pytest.skip("needs root, nftables and iproute2")
    name = f"tw{os.getpid()}"
    try:
        for end in ("a", "b"):
            run("ip", "netns", "add", f"{name}-{end}")
        cable = ("type", "veth", "peer", "name", "cable", "netns", f"{name}-b")
        run("ip", "link", "add", "cable", "netns", f"{name}-a", *cable)
        for end, number in (("a", 1), ("b", 2)):
            inside = ("ip", "-n", f"{name}-{end}")
            run(*inside, "link", "set", "lo", "up")
            run(*inside, "link", "set", "cable", "up")
            run(*inside, "address", "add", f"192.0.2.{number}/24", "dev", "cable")
            run(*inside, "address", "add", f"2001:db8::{number}/64", "dev", "cable", "nodad")
        yield name
    finally:
        for end in ("a", "b"):
            run("ip", "netns", "delete", f"{name}-{end}", check=False)


def reaches(name: str, address: str, port: int, end: str = "b") -> bool:
    probe = f"import socket; socket.create_connection(('{address}', {port}), 1).close()"
    return run("ip", "netns", "exec", f"{name}-{end}", "python3", "-c", probe, check=False).returncode == 0


def await_open(name: str, address: str, port: int, end: str = "b") -> None:
    """A way that is to be open may take a moment: a new link resolves its neighbour first."""
    until(partial(reaches, name, address, port, end), f"port {port} of {address} to answer to {end}", 20)


def _says(*words: str) -> str:
    return run(*words).stdout


@contextmanager
def serving(namespace: str, *ports: int) -> Iterator[None]:
    """A server on each of these ports of a namespace, listening."""
    words = ["ip", "netns", "exec", namespace, "python3", "-c", SERVER]
    servers = [subprocess.Popen([*words, str(port)]) for port in ports]
    try:
        for port in ports:
            listed = ("ip", "netns", "exec", namespace, "ss", "-Hltn", f"sport = :{port}")
            until(partial(_says, *listed), f"port {port} to listen", 20, 0.05)
        yield
    finally:
        for server in servers:
            server.kill()
            server.wait()


def load(name: str, text: str) -> None:
    run("ip", "netns", "exec", f"{name}-a", "nft", "-f", "-", stdin=text)


def test_an_edge_is_open_on_its_ports_and_closed_on_all_others(network: str) -> None:
    # A table of somebody else's: it must survive.
    load(network, "table inet theirs {\n\tchain input {\n\t\ttype filter hook input priority 5;\n\t}\n}\n")
    with serving(f"{network}-a", 22, 25, 8080):
        # Twice: the second replaces the first, and leaves one of each rule.
        for _ in range(2):
            load(network, texts.rules((22,), (25, 465)))
        for address in ("192.0.2.1", "2001:db8::1"):
            for port in (22, 25):
                await_open(network, address, port)
            assert not reaches(network, address, 8080), address
        listed = run("ip", "netns", "exec", f"{network}-a", "nft", "list", "ruleset").stdout
        assert "table inet theirs" in listed
        assert listed.count('comment "SSH"') == 1


def test_a_neighbour_does_not_reach_a_containers_own_address(network: str) -> None:
    """`a` is a host with a container behind a bridge, `b` a machine on its network with a route to the container."""
    inside = ("ip", "-n", f"{network}-a")
    run("ip", "netns", "add", f"{network}-c")
    try:
        run(*inside, "link", "add", "br-0123", "type", "bridge")
        run(*inside, "link", "add", "leg", "type", "veth", "peer", "name", "leg", "netns", f"{network}-c")
        run(*inside, "link", "set", "leg", "master", "br-0123", "up")
        run(*inside, "address", "add", "172.30.0.1/24", "dev", "br-0123")
        run(*inside, "link", "set", "br-0123", "up")
        run("ip", "netns", "exec", f"{network}-a", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        for words in (
            ("link", "set", "leg", "up"), ("address", "add", "172.30.0.2/24", "dev", "leg"),
            ("route", "add", "default", "via", "172.30.0.1"),
        ):  # fmt: skip
            run("ip", "-n", f"{network}-c", *words)
        run("ip", "-n", f"{network}-b", "route", "add", "172.30.0.0/24", "via", "192.0.2.1")
        with serving(f"{network}-c", 25), serving(f"{network}-b", 587):
            await_open(network, "172.30.0.2", 25)
            load(network, texts.rules((22,)))
            assert not reaches(network, "172.30.0.2", 25)
            await_open(network, "192.0.2.2", 587, end="c")
    finally:
        run("ip", "netns", "delete", f"{network}-c", check=False)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here; the lab's hosts have it")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    service, timer = texts.switch_units(120)
    for name, text in (
        (texts.FIREWALL_UNIT, texts.firewall_unit()),
        (f"{texts.SWITCH}.service", service),
        (f"{texts.SWITCH}.timer", timer),
    ):
        (tmp_path / name).write_text(text)
    result = run("systemd-analyze", "verify", *map(str, tmp_path.iterdir()), check=False)
    said = [line for line in result.stderr.splitlines() if "tailwart" in line and "is not executable" not in line]
    assert not said, result.stderr
    exposure = ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(tmp_path / texts.FIREWALL_UNIT)]
    assert run(*exposure, check=False).returncode == 0


@pytest.mark.parametrize("script", [switch.RESTORE, switch.ENFORCE, switch.COMMIT, switch.REMOVE, switch.FACTS])
def test_a_posix_shell_reads_the_scripts(script: str) -> None:
    assert run("dash", "-n", "-c", script).stderr == ""
