"""Bad input and broken neighbours: a clear error on the last lines, and what served before still serves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import topology
from tailwart.environment import Environment
from tests.lab import outside
from tests.lab.deploying import ROOT, deploy, run_pyinfra, variant
from tests.lab.faults import fault
from tests.lab.mailbox import containers, shell, started
from tests.lab.policy import drop_grants_to, policy_text
from tests.lab.verifying import verify
from tests.waiting import until

# The server says no with HTTP 200, as its contract has it.
INVALID = {
    "kind": "status",
    "status": 200,
    "path": "/acl/validate",
    "body": json.dumps(
        {
            "message": "test(s) failed",
            "data": [{"user": "tag:stalwart", "errors": ["address tag:mail:587: want: Accept, got: Drop"]}],
        }
    ),
}


def still_serving() -> None:
    """The edge's door is open and the mailbox behind it speaks."""
    reached = outside.connects("world", topology.edge(1).ipv4, 25, banner=True, timeout=20)
    assert reached.banner.startswith("220 "), reached


@pytest.mark.leaves_deployed
def test_a_wrong_setting_stops_before_any_connection(deployed: Path, tmp_path: Path) -> None:
    path = variant(deployed, tmp_path / "env", SMARTHOST_ADDRESS="smtp.example.com", EDGE_1_SSH="nobody")
    run = run_pyinfra_unchecked(path)
    assert run.returncode != 0
    for expected in ("SMARTHOST_ADDRESS", "lesson 8", "EDGE_1_SSH", "nothing was touched"):
        assert expected in run.stderr
    assert "Connecting" not in run.stderr


def run_pyinfra_unchecked(path: Path) -> subprocess.CompletedProcess[str]:
    """A run with a `.env` that cannot be loaded, so that its secrets are unknown."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "pyinfra"), "-y", "inventory.py", "deploy.py"],
        cwd=ROOT, env={**os.environ, "TAILWART_ENV": str(path)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.leaves_deployed
def test_an_unreachable_host_is_named_last_and_the_others_are_finished(deployed: Path, tmp_path: Path) -> None:
    path = variant(deployed, tmp_path / "env", MAILBOX_SSH="root@127.0.0.1:9")
    run = deploy(path, expect=1)
    assert run.document["results"]["failed_hosts"] == ["mailbox"] or "mailbox" in run.last_lines
    assert {"edge-1", "@plane/tailnet"} <= run.hosts
    for expected in ("mailbox", "MAILBOX_SSH", "ssh "):
        assert expected in run.last_lines
    still_serving()


@pytest.mark.leaves_deployed
def test_a_wrong_ssh_key_says_what_to_check(deployed: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    run = run_pyinfra(variant(deployed, tmp_path / "env", SSH_KEY=str(key)), "-y", "--limit", "mailbox")
    assert run.code == 1
    assert "SSH_KEY" in run.last_lines


@pytest.mark.cases_follow
@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"kind": "status", "status": 401}, "TS_"),
        ({"kind": "status", "status": 500, "path": "/acl"}, "500"),
        ({"kind": "status", "status": 412, "method": "POST", "path": "/acl$"}, "412"),
        ({"kind": "html", "path": "/acl"}, "HuJSON"),
        (INVALID, "validat"),
    ],
    ids=["401", "500", "412", "html", "validate"],
)  # fmt: skip
def test_a_broken_policy_api_changes_nothing_and_other_roles_finish(
    deployed: Path, tmp_path: Path, members: dict[str, object], expected: str
) -> None:
    before = policy_text()
    # Something to push, so that the write path is walked too.
    path = variant(deployed, tmp_path / "env", TS_ADMIN_SRC="tag:mail")
    with fault("policy", **members):
        run = deploy(path, expect=1)
    assert "tailnet" in run.last_lines
    assert expected in run.last_lines
    assert "remedy" in run.last_lines
    assert policy_text() == before
    assert {"mailbox", "edge-1"} <= run.hosts
    still_serving()


@pytest.mark.cases_follow
@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"kind": "status", "status": 400, "path": "/api/download"}, "400"),
        ({"kind": "status", "status": 502, "path": "/api/download"}, "502"),
        ({"kind": "truncate", "path": "/api/download"}, "download"),
    ],
    ids=["400", "502", "truncated"],
)
def test_a_broken_download_service_leaves_the_edge_serving(
    deployed: Path, tmp_path: Path, members: dict[str, object], expected: str
) -> None:
    before = started("edge-1")
    path = variant(deployed, tmp_path / "env", CADDY_PLUGINS="github.com/mholt/caddy-l4/layer4")
    with fault("download", **members):
        run = deploy(path, "--limit", "edge", expect=1)
    assert expected in run.last_lines
    assert started("edge-1") == before
    still_serving()


@pytest.mark.leaves_deployed
def test_a_grant_removed_by_hand_breaks_the_way_out_and_the_check_names_lesson_11(
    deployed: Path, environment: Environment
) -> None:
    drop_grants_to(environment.tag_mail)
    until(lambda: not smarthost_open(environment), "the grant to be void", 20)
    assert "lesson 11" in verify(deployed, "-k", "smarthost", expect=1)
    run = run_pyinfra(deployed, "--dry", "--diff", "--limit", "tailnet")
    assert environment.tag_mail in run.output
    assert deploy(deployed).changes.keys() == {"@plane/tailnet"}
    until(lambda: smarthost_open(environment), "the grant to be back", 20)


def smarthost_open(environment: Environment) -> bool:
    """Whether the smarthost can be reached from inside the sidecar's namespace."""
    probe = f"docker exec ts-stalwart nc -z -w 2 {environment.smarthost_address} 587 && echo open || echo closed"
    return "open" in shell("mailbox", probe, check=False)


@pytest.mark.leaves_deployed
def test_postgres_down_at_deploy_time_then_healed(deployed: Path) -> None:
    shell("mailbox", "cd /opt/tailwart/mailbox && docker compose down", timeout=120)
    shell("backends", "systemctl stop postgresql")
    try:
        run = deploy(deployed, "--limit", "mailbox", expect=1)
        for expected in ("5432", "lesson", "remedy"):
            assert expected in run.last_lines
        running = {name for name, item in containers().items() if item["State"]["Running"]}
        assert "stalwart" not in running
    finally:
        shell("backends", "systemctl start postgresql")
    deploy(deployed, "--limit", "mailbox")
    assert deploy(deployed).changes == {}


@pytest.mark.leaves_deployed
def test_a_sidecar_that_comes_back_with_another_address_is_found_by_name(
    deployed: Path, environment: Environment
) -> None:
    before = shell("mailbox", "docker exec ts-stalwart tailscale ip -4").split()[0]
    # An ephemeral node that was away for too long is gone from the tailnet, and comes back as a new one.
    shell("mailbox", "docker stop stalwart ts-stalwart", timeout=120)
    nodes = json.loads(shell("control", "headscale nodes list -o json"))
    (gone,) = [node["id"] for node in nodes if node["given_name"] == environment.stalwart_magic_name]
    shell("control", f"headscale nodes delete --force -i {gone}")
    shell("mailbox", "docker start ts-stalwart")
    deploy(deployed)
    after = shell("mailbox", "docker exec ts-stalwart tailscale ip -4").split()[0]
    assert after != before, "the sidecar kept its address: nothing would be shown"
    user = environment.accounts[0]
    address = f"{user.name}@{environment.domain}"
    token = outside.mail_in(address)
    outside.read_back(address, user.password.get_secret_value(), token)


@pytest.mark.leaves_deployed
def test_a_restarted_sidecar_takes_stalwart_with_it(deployed: Path) -> None:
    shell("mailbox", "docker restart ts-stalwart", timeout=120)
    deploy(deployed, "--limit", "mailbox")
    assert deploy(deployed).changes == {}
    still_serving()
