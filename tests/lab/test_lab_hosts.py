"""The lab itself: hosts that can be reached, a world that ends at its walls, and starts that change nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import containers, etc_lab, hosts, lifecycle, topology
from tests.lab.mailbox import shell
from tests.lab.state import make_bare

pytestmark = pytest.mark.usefixtures("lab_environment")
NAMES = [host.name for host in topology.hosts(1)]
# Addresses of the documentation range that the lab does not use: they stand for the rest of the internet.
ELSEWHERE = ("203.0.113.80", "2001:db8:dead::80")


def ssh(name: str, command: str) -> subprocess.CompletedProcess[str]:
    words = [*etc_lab.ssh_command(topology.host(name)), command]
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("name", NAMES)
def test_every_host_is_reached_over_ssh_with_the_key_it_is_known_by(name: str) -> None:
    result = ssh(name, "hostname; systemctl is-system-running")
    assert result.returncode == 0 or result.stdout, result.stderr
    assert result.stdout.split() == [name, "running"]


@pytest.mark.parametrize("name", NAMES)
def test_the_only_way_out_is_the_labs_router(name: str) -> None:
    host = topology.host(name)
    for family, router in (("-4", host.router_v4), ("-6", host.router_v6)):
        routes = shell(name, f"ip {family} route show default").splitlines()
        assert [line.split()[2] for line in routes] == ([router] if router else []), routes


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_the_lab_reaches_an_address_outside_it(name: str) -> None:
    # Side by side: a router that drops silently costs the whole waiting time of each attempt.
    attempts = [
        f"{{ {probe} {address}{port} >/dev/null && echo reached {address}; }} >>/tmp/reached 2>/dev/null &"
        for address in ELSEWHERE
        for probe, port in (("ping -c 1 -W 2", ""), ("nc -z -w 2", " 443"))
    ]
    assert shell(name, f": > /tmp/reached; {' '.join(attempts)} wait; cat /tmp/reached").strip() == ""


@pytest.mark.parametrize("name", NAMES)
def test_names_outside_the_lab_do_not_exist(name: str) -> None:
    answer = shell(name, "dig +time=3 +tries=1 example.org A")
    assert "status: NXDOMAIN" in answer
    assert shell(name, "dig +short +time=3 +tries=1 headscale.lab.test A").strip() == topology.CONTROL.ipv4


def manage_address(name: str) -> str:
    """The host's address on the network of the published ports."""
    lines = shell(name, "ip -4 -o address show").splitlines()
    found = [line.split()[3].split("/")[0] for line in lines if line.split()[1].startswith("eth")]
    lab = {str(v4) for _, v4, _ in topology.host(name).addresses}
    return next(address for address in found if address not in lab)


def test_hosts_do_not_meet_on_the_network_of_the_published_ports() -> None:
    target = manage_address("mailbox")
    assert ssh("mailbox", "true").returncode == 0
    for name in ("world", "edge-1"):
        shell(name, f"nc -z -w 2 {target} 22 && exit 1 || exit 0")


def test_the_network_of_the_published_ports_is_no_way_out() -> None:
    """Even whoever adds a route through the operator's bridge finds no way back for the packets."""
    bridge = manage_address("world").rsplit(".", 1)[0] + ".1"
    shell("world", f"ip route add {ELSEWHERE[0]}/32 via {bridge}")
    try:
        shell("world", f"nc -z -w 2 {ELSEWHERE[0]} 443 && exit 1 || exit 0")
    finally:
        shell("world", f"ip route del {ELSEWHERE[0]}/32 via {bridge}")


def test_the_router_answers_the_home_network_with_the_address_it_was_asked_at() -> None:
    report = shell("backends", "tailscale netcheck")
    assert "UDP: true" in report, "the DERP server's STUN does not answer"
    assert " src 198.51.100.2 " in shell("control", "ip route get 10.77.0.10")
    assert " src 2001:db8:100::2 " in shell("control", "ip route get 2001:db8:200::10")


def started() -> dict[str, str]:
    docker = hosts.running_engine()
    form = "{{.Name}} {{.Id}} {{.State.StartedAt}}"
    listed = [topology.host(name).container for name in containers.state(docker)]
    return {line.split()[0]: line for line in docker.lines("inspect", "--format", form, *listed)}


def test_a_second_start_touches_nothing(lab_environment: Path) -> None:
    before, env = started(), lab_environment.stat().st_mtime_ns
    lifecycle.up()
    assert started() == before
    assert lab_environment.stat().st_mtime_ns == env


def test_a_stopped_host_is_started_again_with_its_identity() -> None:
    docker = hosts.running_engine()
    key = shell("world", "cat /etc/ssh/ssh_host_ed25519_key.pub")
    docker.run("stop", "--time", "5", topology.WORLD.container)
    lifecycle.up()
    assert shell("world", "cat /etc/ssh/ssh_host_ed25519_key.pub") == key
    assert ssh("world", "true").returncode == 0
    test_the_only_way_out_is_the_labs_router("world")


def test_a_recreated_host_is_bare_and_known_by_its_new_key() -> None:
    others = {name: line for name, line in started().items() if name != f"/{topology.MAILBOX.container}"}
    shell("mailbox", "mkdir -p /opt/tailwart/mailbox && touch /opt/tailwart/mailbox/leaving")
    old = shell("mailbox", "cat /etc/ssh/ssh_host_ed25519_key.pub")
    hosts.recreate("mailbox")
    assert shell("mailbox", "cat /etc/ssh/ssh_host_ed25519_key.pub") != old
    assert ssh("mailbox", "true").returncode == 0, "known_hosts was not rewritten"
    assert ssh("mailbox", "ls /opt; ls -A /var/lib/docker; command -v docker").stdout == ""
    assert {name: line for name, line in started().items() if name in others} == others


def test_a_bare_host_installs_an_engine_and_runs_an_image_of_the_labs_registry() -> None:
    make_bare("mailbox")
    install = "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y docker.io docker-compose"
    hosts.exec("mailbox", ["sh", "-c", f"{install} >/dev/null 2>&1"], timeout=300)
    run = "docker run --rm --device /dev/net/tun --cap-add NET_ADMIN registry.lab.test/debian:trixie-slim"
    # The image trusts the lab's CA, finds its names, and a container on a host may open a TUN device.
    fetch = "curl -fsS https://download.lab.test/lab/health >/dev/null && test -c /dev/net/tun && echo fine"
    result = hosts.exec("mailbox", ["sh", "-c", f"{run} sh -c '{fetch}'"], timeout=300)
    assert result.stdout.decode().strip() == "fine"
