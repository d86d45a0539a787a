"""Two edges in the inventory: both are doors to the same mailbox, and one of them may be away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import containers, dotenv, hosts, issuer, lifecycle, topology
from tailwart.environment import Environment
from tests.lab import outside
from tests.lab.deploying import deploy, environment_of, variant
from tests.lab.mailbox import shell
from tests.lab.stream import stream
from tests.lab.test_lab_edge import SERVE
from tests.lab.test_lab_guessing import tailwart
from tests.waiting import until

FIRST, SECOND = topology.edge(1), topology.edge(2)
MESSAGES = 2000


@pytest.fixture(scope="module")
def two_edges(lab_environment: Path) -> Iterator[Path]:
    """The lab's `.env` with a second edge host; back to one edge afterwards."""
    lifecycle.up(2)
    deploy(dotenv.path())
    yield dotenv.path()
    lifecycle.up(1)
    # The addresses of an edge are a third of the zone's managed records.
    deploy(dotenv.path(), "--data", "dns_allow_deletions=yes")


def upstream(host: str) -> str:
    """The mailbox's name in what this edge's Caddy runs with."""
    return shell(host, "grep -o '[a-z]*[.]tailnet[.]test:25' /opt/tailwart/edge/caddy.json").strip()


def test_two_edges_both_serve_and_the_second_run_changes_nothing(two_edges: Path) -> None:
    environment = environment_of(two_edges)
    assert [edge.name for edge in environment.edges] == ["edge-1", "edge-2"]
    assert deploy(two_edges).changes == {}
    user = environment.accounts[0]
    address = f"{user.name}@{environment.domain}"
    for edge in (FIRST, SECOND):
        for door, client in ((edge.ipv4, outside.WORLD_ADDRESS), (edge.ipv6, topology.WORLD.ipv6)):
            token = outside.mail_in(address, door)
            message = outside.read_back(address, user.password.get_secret_value(), token, door)
            assert client in message.get_all("Received", [])[0], "the server sees the client's own address"
        _serves_the_mail_names_alone(environment, edge)
        assert 'comment "tailwart_door' in shell(edge.name, "nft list chain inet tailwart_door input")


def _serves_the_mail_names_alone(environment: Environment, edge: topology.Host) -> None:
    """Without a web server: MTA-STS and autoconfig by the mailbox's own certificate, and an alert for other names."""

    def get(name: str, path: str, address: str) -> str:
        where = f"--connect-to {name}:443:{address}:443 https://{name}{path}"
        return shell("world", f"curl -sS --max-time 20 --cacert {issuer.ON_WORLD} {where} 2>&1", check=False)

    domain = environment.domain
    where = (f"mta-sts.{domain}", "/.well-known/mta-sts.txt", edge.ipv4)
    policy = until(lambda: get(*where) if "STSv1" in get(*where) else "", "the MTA-STS policy", 60)
    assert f"mx: mail.{domain}" in policy
    config = get(f"autoconfig.{domain}", f"/mail/config-v1.1.xml?emailaddress=alice@{domain}", f"[{edge.ipv6}]")
    assert f"mail.{domain}" in config
    discovered = get(f"autodiscover.{domain}", "/autodiscover/autodiscover.xml", edge.ipv4)
    assert "curl:" not in discovered, "TLS and HTTP answer there"
    assert "alert" in get("shop.test", "/", edge.ipv4)


def test_an_edge_that_is_away_is_skipped_told_and_healed_and_any_edge_goes_back(
    two_edges: Path, tmp_path: Path
) -> None:
    changed = variant(two_edges, tmp_path / "env", STALWART_MAGIC_NAME="elsewhere")
    shell(SECOND.name, "systemctl stop ssh.socket 2>/dev/null; systemctl stop ssh")
    try:
        run = deploy(changed, "--limit", "edge", expect=1)
        assert run.changes.get("edge-1") == [SERVE]
        assert "Failed: edge-2" in run.last_lines
        assert (upstream("edge-1"), upstream("edge-2")) == ("elsewhere.tailnet.test:25", "stalwart.tailnet.test:25")
    finally:
        shell(SECOND.name, "systemctl start ssh")
    assert deploy(changed, "--limit", "edge").changes == {"edge-2": [SERVE]}
    before = upstream("edge-2")
    rolled = tailwart(two_edges, "edge", "rollback", "--all")
    assert [item["edge"] for item in rolled["edges"]] == ["edge-1", "edge-2"]
    assert {upstream("edge-1"), upstream("edge-2")} == {"stalwart.tailnet.test:25"} != {before}
    assert outside.connects("world", SECOND.ipv4, 25, banner=True, timeout=20).banner.startswith("220 ")
    assert deploy(two_edges, "--limit", "edge").changes == {}, "that is what .env says"


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_an_edge_dies_in_a_stream_of_mail_and_every_message_arrives(two_edges: Path) -> None:
    """Its power is cut in the middle of the stream, and comes back: the sender goes on at the other one meanwhile."""
    environment = environment_of(two_edges)
    user = environment.accounts[0]
    address, password = f"{user.name}@{environment.domain}", user.password.get_secret_value()
    docker = hosts.running_engine()

    # Not faster: the server takes five messages a second from one address.
    with stream(address, MESSAGES, 0.22, (FIRST.ipv4, SECOND.ipv6)) as sent:

        def arrived() -> list[int]:
            return sent.arrived(address, password, SECOND.ipv4)

        def reached(number: int) -> None:
            until(lambda: len(set(arrived())) >= number, f"{number} messages", 600, 3)

        reached(MESSAGES // 4)
        docker.run("kill", FIRST.container)
        reached(MESSAGES // 2)
        containers.start(docker, FIRST)
        containers.await_ready(docker, FIRST)
        back = outside.connects("world", FIRST.ipv4, 25, banner=True, timeout=60)
        assert back.banner.startswith("220 "), "the edge serves again by itself"
        result = sent.result()
    found = until(lambda: seen if len(set(seen := arrived())) == MESSAGES else None, "all messages", 180, 3)
    taken = result["taken"]
    assert min(taken[FIRST.ipv4], taken[SECOND.ipv6]) > MESSAGES // 5, taken
    # SMTP knows no other way: what was broken off before the last answer is sent again. All else is there once.
    twice = {number for number in found if found.count(number) > 1}
    assert twice <= set(result["unsure"]), result
    assert deploy(two_edges).changes == {}, "nothing of the edge was lost with the power"
