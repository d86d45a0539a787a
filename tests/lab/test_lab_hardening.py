"""Limits of the containers, and hosts that protect themselves without ever locking their operator out."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import etc_lab, hosts, topology
from tailwart.hosts.files import HostFile
from tailwart.hosts.hardening import plan, texts
from tailwart.hosts.hardening.plan import HostRole
from tailwart.operations import hardening, hostfiles
from tailwart.operations.remote import gather
from tailwart.runner import Completed
from tests.lab import outside
from tests.lab.deploying import deploy, environment_of, variant
from tests.lab.mailbox import containers, shell
from tests.waiting import until

EDGE = "edge-1"
OPERATION = "Edge: packet filter, SSH and security updates"
# What a setting of sshd looks like that lets nobody in.
NOBODY = "AllowUsers nobody\n"


def on_edge(script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
    """A `Runner` past SSH: it still works on a host that lets nobody in."""
    words = ["sh", "-c", script]
    result = hosts.exec(EDGE, words, stdin=stdin.encode() if stdin else None, check=False, timeout=timeout)
    return Completed(result.returncode == 0, result.stdout.decode(), result.stderr.decode())


def let_in() -> bool:
    """Whether a new SSH connection of the operator gets in, at once."""
    *words, target = etc_lab.ssh_command(topology.host(EDGE))
    command = [*words, "-o", "ConnectTimeout=4", target, "true"]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def listed() -> str:
    return shell(EDGE, f"nft -s list table inet {texts.TABLE}", check=False)


def try_out(rules: str, sshd: str, seconds: int) -> None:
    """Bring rules and settings into force, as a deploy does that dies before it has proven them."""
    files = (
        *plan.support(seconds),
        HostFile(f"{texts.DIRECTORY}/next/firewall.nft", rules),
        HostFile(f"{texts.DIRECTORY}/next/sshd.conf", sshd),
    )
    hostfiles.write(on_edge, files)
    hardening.change(on_edge)


@pytest.mark.leaves_deployed
def test_every_container_has_its_limits(deployed: Path) -> None:
    found = {**containers("mailbox"), **containers(EDGE)}
    assert set(found) == {"ts-stalwart", "stalwart", "tailwart-edge"}
    for name, container in found.items():
        settings = container["HostConfig"]
        assert settings["CapDrop"] == ["ALL"], name
        assert "no-new-privileges:true" in settings["SecurityOpt"], name
        assert settings["Memory"] > 0, name
        assert settings["PidsLimit"] > 0, name
        # tailscaled replaces /etc/resolv.conf through a file beside it.
        assert settings["ReadonlyRootfs"] is (name != "ts-stalwart"), name
    environment = environment_of(deployed)
    assert found["stalwart"]["HostConfig"]["Memory"] == environment.stalwart_memory
    assert found["tailwart-edge"]["HostConfig"]["Memory"] == environment.edge_memory
    status = shell("mailbox", "cat /proc/$(docker inspect --format '{{.State.Pid}}' stalwart)/status")
    assert "NoNewPrivs:\t1\n" in status
    assert "CapEff:\t0000000000000000\n" in status


@pytest.mark.leaves_deployed
def test_a_port_that_somebody_opens_is_reached_by_nobody_and_no_password_is_asked_for(deployed: Path) -> None:
    shell(EDGE, "systemd-run --unit=opened nc -l -k 8081")
    try:
        until(lambda: ":8081" in shell(EDGE, "ss -Hltn"), "the port to be open")
        for address in (topology.edge(1).ipv4, topology.edge(1).ipv6):
            found = outside.reached("world", address, (25, 8081), timeout=3)
            assert {port: reached.open for port, reached in found.items()} == {25: True, 8081: False}
    finally:
        shell(EDGE, "systemctl stop opened")
    # `none` fails, and the server names the ways that are left.
    words = [*etc_lab.ssh_command(topology.edge(1))[:-1], "-v", "-o", "PreferredAuthentications=none", "root@127.0.0.1"]
    said = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False).stderr
    assert "Permission denied (publickey)." in said or "can continue: publickey\n" in said, said[-500:]


@pytest.mark.leaves_deployed
@pytest.mark.parametrize("what", ["rules", "sshd"])
def test_what_locks_the_operator_out_is_taken_back_by_the_host_alone(deployed: Path, what: str) -> None:
    before = listed()
    assert let_in()
    # SSH on another port than sshd's; or a setting that lets nobody in.
    try_out(*((texts.rules((9,), (25,)), texts.SSHD) if what == "rules" else (texts.rules((22,), (25,)), NOBODY)), 30)
    assert listed() != before
    assert not let_in(), "the operator is locked out"
    until(let_in, "the host to take it back", 120)
    assert listed() == before
    assert shell(EDGE, f"cat {texts.DROP_IN}") == texts.SSHD
    run = deploy(deployed, "--limit", "edge")
    assert run.changes == {EDGE: [OPERATION]}
    assert "had taken a change back by itself" in run.output
    assert deploy(deployed, "--limit", "edge").changes == {}


@pytest.mark.leaves_deployed
def test_a_run_that_dies_before_the_proof_is_gone_on_with(deployed: Path) -> None:
    role = HostRole("tailwart-edge", (25,))
    state = plan.state_of(role, gather(on_edge, role.watch))
    try_out(plan.desired_rules(role, state), texts.SSHD, plan.WINDOW)
    assert deploy(deployed, "--limit", "edge").changes == {EDGE: [OPERATION]}
    assert shell(EDGE, f"systemctl is-active {texts.SWITCH}.timer", check=False).strip() == "inactive"
    assert deploy(deployed, "--limit", "edge").changes == {}


@pytest.mark.leaves_deployed
def test_a_host_that_others_use_is_left_alone_and_said(deployed: Path, tmp_path: Path) -> None:
    path = variant(deployed, tmp_path / "env", HARDEN_SKIP=EDGE)
    assert deploy(path, "--limit", "edge").changes == {EDGE: [OPERATION]}
    assert listed().startswith("Error") or "No such file" in listed()
    assert shell(EDGE, f"ls {texts.DROP_IN} {texts.DIRECTORY}", check=False).count("No such file") == 2
    shell(EDGE, "systemd-run --unit=shop nc -l -k 8080")
    try:
        until(lambda: ":8080" in shell(EDGE, "ss -Hltn"), "the shop to be open")
        run = deploy(deployed, "--limit", "edge")
        assert run.changes == {}
        assert "not the deploy's alone: nc on tcp port 8080" in run.output
    finally:
        shell(EDGE, "systemctl stop shop")
    assert deploy(deployed, "--limit", "edge").changes == {EDGE: [OPERATION]}
