"""How hosts are created, as the engine is asked for it, and what the tailnet and the registry are asked."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import responses

from lab import containers, keyring, lifecycle, registry, tailnet, topology
from lab.engine import Docker
from tailwart.errors import TailwartError

Answer = Callable[[tuple[str, ...]], subprocess.CompletedProcess[bytes]]
DOCKER = Docker("", ("--privileged",))


def said(text: str = "", code: int = 0, error: str = "") -> subprocess.CompletedProcess[bytes]:
    return subprocess.CompletedProcess([], code, text.encode(), error.encode())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, ...]]:
    """Every command the engine is asked; all of them succeed and say nothing."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return answers(monkeypatch, lambda _: said())


def answers(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> list[tuple[str, ...]]:
    """Let the engine answer as the function says; the list grows with what it is asked."""
    calls: list[tuple[str, ...]] = []

    def run(self: Docker, *arguments: str, check: bool = True, **_: Any) -> subprocess.CompletedProcess[bytes]:
        calls.append(arguments)
        result = answer(arguments)
        if check and result.returncode:
            raise TailwartError("docker failed", seen=result.stderr.decode())
        return result

    monkeypatch.setattr(Docker, "run", run)
    return calls


def values(call: tuple[str, ...], flag: str) -> list[str]:
    return [call[index + 1] for index, word in enumerate(call) if word == flag]


@pytest.mark.parametrize("host", topology.hosts(2), ids=lambda host: host.name)
def test_ports_are_published_on_loopback_only_and_addresses_are_the_hosts_own(
    host: topology.Host, asked: list[tuple[str, ...]]
) -> None:
    containers.create(DOCKER, host, "image:1")
    (create,) = [call for call in asked if call[0] == "create"]
    published = values(create, "--publish")
    assert f"127.0.0.1:{host.ssh_port}:22" in published
    assert all(each.startswith("127.0.0.1:") for each in published)
    assert values(create, "--network") == ["tailwart-lab-manage"]
    connected = {
        call[-2]: values(call, "--ip") + values(call, "--ip6") for call in asked if call[:2] == ("network", "connect")
    }
    assert connected == {network.full_name: [str(v4), str(v6)] for network, v4, v6 in host.addresses}


def test_no_network_masquerades_and_hosts_do_not_meet_on_the_manage_network(asked: list[tuple[str, ...]]) -> None:
    containers.ensure_networks(DOCKER)
    created = {call[-1]: call for call in asked if call[:2] == ("network", "create")}
    assert set(created) == {"tailwart-lab-internet", "tailwart-lab-home", "tailwart-lab-manage"}
    for call in created.values():
        assert "com.docker.network.bridge.enable_ip_masquerade=false" in values(call, "--opt")
    assert "com.docker.network.bridge.enable_icc=false" in values(created["tailwart-lab-manage"], "--opt")


def test_the_fingerprint_of_a_host_covers_image_flags_and_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    before = containers.spec(DOCKER, topology.MAILBOX, "image:1")
    assert containers.spec(DOCKER, topology.MAILBOX, "image:1") == before
    assert containers.spec(DOCKER, topology.MAILBOX, "image:2") != before
    assert containers.spec(Docker("", ("--cap-add", "ALL")), topology.MAILBOX, "image:1") != before
    monkeypatch.setenv("LAB_PORT_BASE", "31000")
    assert containers.spec(DOCKER, topology.MAILBOX, "image:1") != before


def test_a_taken_port_is_told_with_the_way_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = "listen tcp4 127.0.0.1:22010: bind: address already in use"
    answers(monkeypatch, lambda _: said(code=1, error=refusal))
    with pytest.raises(TailwartError) as caught:
        containers.start(DOCKER, topology.MAILBOX)
    assert refusal in caught.value.seen
    assert "LAB_PORT_BASE=23000" in caught.value.remedy


def test_a_host_that_never_gets_ready_is_told_with_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "BOOT_TIMEOUT", 0.0)
    with pytest.raises(TailwartError, match="control is not ready") as caught:
        containers.await_true(
            lambda: said(code=1, error="knot does not answer yet\n"),
            "control is not ready",
            "tailwart lab logs control",
            0,
        )
    assert caught.value.seen == "knot does not answer yet"


def test_containers_of_other_projects_are_not_seen_and_a_missing_fingerprint_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = answers(
        monkeypatch, lambda _: said("tailwart-lab-mailbox|running||x/host:1\ntailwart-lab-edge-1|exited|ab|y\n")
    )
    found = containers.state(DOCKER)
    assert found["mailbox"] == ("running", "x/host:1", "")
    assert found["edge-1"] == ("exited", "y", "ab")
    assert values(calls[0], "--filter") == ["label=tailwart.lab=host"]


def test_down_removes_what_carries_the_labs_label_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(arguments: tuple[str, ...]) -> subprocess.CompletedProcess[bytes]:
        return said(f"{arguments[0]}-1\n") if "--filter" in arguments else said()

    calls = answers(monkeypatch, answer)
    lifecycle._remove_all(DOCKER)
    assert [call for call in calls if "rm" in call] == [
        ("rm", "--force", "--volumes", "ps-1"),
        ("network", "rm", "network-1"),
        ("volume", "rm", "volume-1"),
    ]
    assert all("label=tailwart.lab" in call for call in calls if "--filter" in call)


NODES = [
    {"id": 7, "name": "stalwart", "node_key": "nodekey:a"},
    {"id": 8, "name": "edge-1", "node_key": "nodekey:b"},
]


def headscale(arguments: tuple[str, ...]) -> subprocess.CompletedProcess[bytes]:
    return said(json.dumps(NODES)) if "list" in arguments else said()


@pytest.mark.parametrize(("kept", "forgotten"), [({"control", "edge-1"}, ["7"]), ({"edge-1"}, [])])
def test_a_host_that_is_made_anew_has_its_name_to_itself(
    monkeypatch: pytest.MonkeyPatch, kept: set[str], forgotten: list[str]
) -> None:
    """Otherwise it is `stalwart-1`; a control server that begins anew as well knows nobody."""
    members = topology.hosts(1)
    present = {
        host.name: containers.Present("running", "image", containers.spec(DOCKER, host, "image"))
        for host in members
        if host.name in kept
    }
    calls = answers(monkeypatch, headscale)
    monkeypatch.setattr(containers, "state", lambda _: present)
    for name in ("remove", "create", "start", "await_ready"):
        monkeypatch.setattr(containers, name, lambda *_: None)
    lifecycle._start(DOCKER, members, dict.fromkeys((host.image for host in members), "image"))
    assert [call[-1] for call in calls if "delete" in call] == forgotten


def test_a_bare_mailbox_forgets_the_sidecar_that_ran_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = answers(monkeypatch, headscale)
    tailnet.forget(DOCKER, topology.MAILBOX)
    (deleted,) = [call for call in calls if "delete" in call]
    assert deleted[-1] == "7"


def test_a_host_without_nodes_forgets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = answers(monkeypatch, headscale)
    tailnet.forget(DOCKER, topology.WORLD)
    assert not [call for call in calls if "delete" in call]


def test_the_relays_address_is_asked_of_the_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, lambda arguments: said("100.64.0.9\n" if "tailscale" in arguments else ""))
    assert keyring.load(DOCKER) == {"relay_address": "100.64.0.9"}


@responses.activate
@pytest.mark.parametrize(
    ("status", "digest", "held"),
    [(200, "sha256:same", True), (200, "sha256:other", False), (404, "", False)],
)
def test_an_image_is_pushed_unless_the_registry_holds_this_very_one(
    monkeypatch: pytest.MonkeyPatch, status: int, digest: str, held: bool
) -> None:
    url = "http://127.0.0.1:22050/v2/tailscale/tailscale/manifests/v1.102.5"
    responses.get(url, json={"config": {"digest": digest}}, status=status)
    answers(monkeypatch, lambda _: said("sha256:same\n"))
    assert registry._holds(DOCKER, "local:1", "tailscale/tailscale:v1.102.5") is held


@responses.activate
def test_the_containerd_store_knows_an_image_by_its_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://127.0.0.1:22050/v2/debian/manifests/trixie-slim"
    responses.get(url, json={"config": {"digest": "sha256:c"}}, headers={"Docker-Content-Digest": "sha256:m"})
    answers(monkeypatch, lambda _: said("sha256:m\n"))
    assert registry._holds(DOCKER, "local:1", "debian:trixie-slim")
