"""What happens to an installation over the years: a bad deploy taken back, roles removed, a host that died, reboots."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lab import containers as lab_containers
from lab import hosts, topology
from tailwart.environment import Account, Environment
from tests.lab import outside
from tests.lab.deploying import deploy, variant
from tests.lab.mailbox import DIRECTORY, containers, fingerprint, shell
from tests.lab.policy import policy_text
from tests.lab.stream import stream
from tests.lab.test_dns_lab import served
from tests.lab.test_lab_upgrade import planned, tailwart
from tests.waiting import until

pytestmark = pytest.mark.long

SECONDS = 90  # within which everything serves again after a reboot
MESSAGES = 300
GRANT = '"src": ["tag:reverse-proxy"]'


def login(environment: Environment, account: Account) -> tuple[str, str]:
    return f"{account.name}@{environment.domain}", account.password.get_secret_value()


def plane_changes(path: Path) -> dict[str, list[Any]]:
    """What the planes' own plans would change."""
    return {
        "stalwart": planned(path),
        **{plane: json.loads(tailwart(path, plane, "plan", "--json"))["changes"] for plane in ("tailnet", "dns")},
    }


def test_a_bad_change_of_settings_policy_and_zone_is_taken_back(
    deployed: Path, environment: Environment, account: Account, tmp_path: Path
) -> None:
    path = variant(deployed, tmp_path / "env", DNS_TTL="1800")
    deploy(path)
    good = path.read_text()
    services = "MAIL_SERVICES=smtp,submissions:tailnet"
    path.write_text(f"{good.replace('DNS_TTL=1800', 'DNS_TTL=300')}{services}\nTS_MAIL_SRC=tag:postgres\n")
    changed = deploy(path).changes
    assert set(changed) == {"mailbox", "edge-1", "@plane/tailnet", "@plane/dns"}
    assert not outside.connects("world", topology.edge(1).ipv4, 993).open

    newest, before = json.loads(tailwart(path, "history", "--json"))[:2]
    assert set(newest["hosts"]) == set(changed)
    assert newest["revision"]
    shown = tailwart(path, "diff", str(before["number"]))
    assert f"+{services}" in shown
    on_host = json.loads(tailwart(path, "history", "--host", "mailbox", "--json"))
    assert on_host[0]["operations"] == newest["hosts"]["mailbox"]["operations"]
    assert "Mailbox: settings of Stalwart" in on_host[0]["operations"]
    assert shell("edge-1", "stat -c %a /opt/tailwart/history.jsonl").strip() == "600"

    dry = tailwart(path, "rollback", "--dry", everything=True)
    for expected in (f"-{services}", "NetworkListener", "grant", "ttl: 300 → 1800", "Nothing was changed"):
        assert expected in dry
    assert services in path.read_text()
    tailwart(path, "rollback", "--yes")
    assert path.read_text() == good
    assert plane_changes(path) == {"stalwart": [], "tailnet": [], "dns": []}
    assert deploy(path).changes == {}
    user, password = login(environment, account)
    outside.read_back(user, password, outside.mail_in(user))


def test_roles_are_removed_and_come_back_with_their_data(
    deployed: Path, environment: Environment, account: Account, tmp_path: Path
) -> None:
    user, password = login(environment, account)
    token = outside.mail_in(user)
    outside.read_back(user, password, token)
    path = variant(deployed, tmp_path / "env")
    edge = topology.edge(1).ipv4
    # Things of others, in every place where the deploy has its own.
    image = environment.edge_base_image
    shell(
        "edge-1", f"docker run -d --name foreign {image} sleep 9999; mkdir -p /opt/others; echo mine >/opt/others/file"
    )
    try:
        before = fingerprint("edge-1")
        dry = tailwart(path, "remove", "edge-1", "--dry")
        for expected in (
            "container tailwart-edge",
            "/opt/tailwart/edge",
            "packet filter",
            "- A mail",
            "tailscale logout",
        ):
            assert expected in dry
        assert "shop" not in dry
        assert fingerprint("edge-1") == before, "a dry removal changes nothing"
        tailwart(path, "remove", "edge-1", "--yes")
        left = shell(
            "edge-1",
            "docker ps -a --format '{{.Names}}'; docker image ls; ls /opt; nft list tables; ls /etc/ssh/sshd_config.d",
        )
        assert "tailwart" not in left
        assert "foreign" in left
        assert shell("edge-1", "cat /opt/others/file").strip() == "mine"
    finally:
        shell("edge-1", "docker rm -f foreign; rm -rf /opt/others")
    assert not outside.connects("world", edge, 25).open
    until(lambda: not served(environment, "mail", "A"), "the edge's address out of the zone", 60)
    assert "EDGE" not in path.read_text().replace("EDGE_BASE_IMAGE", "")

    gone = tailwart(path, "remove", "mailbox", "--yes")
    assert "stays: volume tailwart-mailbox_stalwart-data" in gone
    assert containers() == {}
    assert shell("mailbox", "ls -A /opt; ls /etc/systemd/system | grep tailwart || :").strip() == ""
    assert tailwart(path, "remove", "mailbox", expect=1)

    assert GRANT in policy_text()
    assert served(environment, "", "MX")
    tailwart(path, "remove", "tailnet", "--yes")
    tailwart(path, "remove", "dns", "--yes")
    assert GRANT not in policy_text()
    assert "// The owner's laptops may print." in policy_text(), "what others wrote"
    until(lambda: not served(environment, "", "MX"), "the records of the mail system out of the zone", 60)
    assert served(environment, "shop", "CNAME"), "a record of somebody else's"

    deploy(deployed)
    outside.read_back(user, password, token)
    outside.read_back(user, password, outside.mail_in(user))
    assert deploy(deployed).changes == {}


def test_a_bare_host_takes_the_store_of_a_dead_one_over_and_no_second_server_joins_it(
    deployed: Path, environment: Environment, account: Account
) -> None:
    user, password = login(environment, account)
    tokens = [outside.mail_in(user) for _ in range(3)]
    for token in tokens:
        outside.read_back(user, password, token)
    hosts.recreate("mailbox")
    # Somebody else's server is at work on the store: the new one must not even start.
    secret = environment.stalwart_db_password
    assert secret is not None
    url = f"host=127.0.0.1 user={environment.stalwart_db_user} dbname={environment.stalwart_db_name}"
    loop = f"while [ -e /run/second ]; do echo 'select 1;'; sleep 1; done | PGPASSFILE=/run/pgpass psql -qAt '{url}'"
    hosts.exec("backends", ["sh", "-c", "umask 077; cat >/run/pgpass; : >/run/second"],
               stdin=f"*:*:*:*:{secret.get_secret_value()}\n".encode())  # fmt: skip
    shell("backends", f'setsid sh -c "{loop}" >/dev/null 2>&1 </dev/null &')
    try:
        refused = deploy(deployed, "--limit", "mailbox", expect=1)
        assert "another Stalwart uses the same store" in refused.last_lines
        assert "stalwart" not in containers()
    finally:
        shell("backends", "rm -f /run/second /run/pgpass")
    begin = time.monotonic()
    deploy(deployed)
    print(f"\nthe store was taken over by a bare host in {time.monotonic() - begin:.0f} s")
    for token in tokens:
        outside.read_back(user, password, token)
    outside.read_back(user, password, outside.mail_in(user))
    assert shell("mailbox", f"cat {DIRECTORY}/initialised").strip() == "yes"
    assert deploy(deployed).changes == {}


@pytest.mark.leaves_deployed
def test_after_a_reboot_everything_serves_again_by_itself_and_nothing_is_lost(
    deployed: Path, environment: Environment, account: Account
) -> None:
    user, password = login(environment, account)
    engine = hosts.running_engine()
    measured = {}
    with stream(user, MESSAGES, 0.4) as sent:
        for names in (("edge-1",), ("mailbox",), ("backends",), ("edge-1", "mailbox", "backends", "relay")):
            machines = [topology.host(name) for name in names]
            with ThreadPoolExecutor(len(machines)) as pool:
                list(pool.map(lambda machine: engine.run("restart", "--time", "10", machine.container), machines))
            begin = time.monotonic()
            serves_mail(user, password)
            measured["all" if len(names) > 1 else names[0]] = round(time.monotonic() - begin, 1)
            for machine in machines:
                lab_containers.await_ready(engine, machine)
        token = outside.mail_out(user, password, 465)
        outside.arrived_outside(token)
        result = sent.result()
    print(f"\nseconds until mail flowed in and was read after a reboot: {measured}; stream: {result}")
    assert result["deferred"], "the stream went on without noticing a reboot"
    until(lambda: len(set(sent.arrived(user, password))) == MESSAGES, "every message of the stream", 120)
    assert deploy(deployed).changes == {}


def serves_mail(user: str, password: str) -> None:
    """Wait until a message comes in through the edge and is read in its mailbox, within the bound."""

    def attempt() -> bool:
        try:
            token = outside.mail_in(user)
            outside.client(do="fetch", host=topology.edge(1).ipv4, user=user, password=password, token=token)
        except AssertionError:
            return False
        return True

    until(attempt, "mail in and out of the mailbox after the reboot", SECONDS)
