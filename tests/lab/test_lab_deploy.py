"""The deploy from bare hosts, again, dry, limited, killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.emptying import drop_database, remove_mailbox
from tests.lab.deploying import ROOT, deploy, environment_of, run_pyinfra, variant
from tests.lab.mailbox import DIRECTORY, containers, fingerprint, shell, started
from tests.lab.policy import policy_text
from tests.lab.state import Installation, make_bare
from tests.waiting import until


@pytest.fixture
def bare(lab_environment: Path) -> Path:
    """The lab with a bare mailbox host, a bare edge and a bare host for the stores."""
    make_bare("mailbox", "edge-1", "backends")
    return lab_environment


def test_a_dry_run_on_bare_hosts_shows_a_plan_and_changes_nothing(bare: Path) -> None:
    before = {host: fingerprint(host) for host in ("mailbox", "edge-1", "backends")}
    policy = policy_text()
    run = run_pyinfra(bare, "--dry", "--json")
    assert run.code == 0, run.last_lines
    assert {"mailbox", "edge-1", "backends"} <= set(run.planned)
    text = run_pyinfra(bare, "--dry", "--diff")
    assert text.code == 0, text.last_lines
    for expected in ("compose.yaml", "caddy.json", "NetworkListener 587 (submission)", "ts-stalwart"):
        assert expected in text.output
    assert {host: fingerprint(host) for host in before} == before
    assert policy_text() == policy


@pytest.mark.leaves_deployed
def test_from_bare_hosts_then_again_without_any_change(bare: Path, installation: Installation) -> None:
    first = deploy(bare)
    assert {"mailbox", "edge-1", "backends"} <= set(first.changes)
    running = {host: started(host) for host in ("mailbox", "edge-1")}
    second = deploy(bare)
    assert second.changes == {}
    assert second.document["results"]["failed_hosts"] == []
    assert {host: started(host) for host in running} == running
    installation.proven()


@pytest.mark.leaves_deployed
@pytest.mark.parametrize("role", ["tailnet", "backends", "mailbox", "edge", "dns"])
def test_a_limit_touches_exactly_its_role(deployed: Path, role: str) -> None:
    members = {
        "tailnet": {"@plane/tailnet"},
        "backends": {"backends"},
        "mailbox": {"mailbox"},
        "edge": {edge.name for edge in environment_of(deployed).edges},
        "dns": {"@plane/dns"},
    }
    assert deploy(deployed, "--limit", role).hosts == members[role]


@pytest.mark.leaves_deployed
def test_a_limit_that_matches_nothing_is_an_error(deployed: Path) -> None:
    run = run_pyinfra(deployed, "-y", "--limit", "mailbx")
    assert run.code != 0
    assert "no host of the inventory matches" in run.last_lines


@pytest.mark.leaves_deployed
def test_the_record_tells_the_containers_of_a_real_engine_apart(deployed: Path) -> None:
    """An engine that refuses our template as a whole leaves no fingerprint, and a foreign container is not found."""
    record = json.loads(shell("mailbox", "cat /opt/tailwart/mailbox/.applied"))
    assert set(record["services"]) == {"ts-stalwart", "stalwart"}
    assert all(re.fullmatch("[0-9a-f]{64}", mark) for mark in record["services"].values()), record
    assert len(set(record["services"].values())) == 2


def test_a_run_killed_between_a_file_and_its_restart_is_repaired(deployed: Path) -> None:
    """A file that a killed run has written stands on the host; nothing that runs knows of it yet."""
    before = started()
    # What a killed run leaves: the new inputs on disk, the containers made from the old ones.
    shell("mailbox", "cd /opt/tailwart/mailbox && sed -i 's/$/ /;1!s/ $//' config/config.json")
    assert deploy(deployed, "--limit", "mailbox").changes
    assert not deploy(deployed, "--limit", "mailbox").changes
    assert set(started()) == set(before)


def test_an_embedded_store_needs_no_backends(lab_environment: Path, installation: Installation, tmp_path: Path) -> None:
    path = variant(
        lab_environment,
        tmp_path / "env",
        STALWART_STORE="rocksdb",
        **dict.fromkeys(("BACKENDS_SSH", "BACKENDS_INSTALL", "REDIS_URL", "S3_ENDPOINT")),
    )
    make_bare("mailbox")
    installation.other_store = True
    deploy(path, "--limit", "mailbox")
    assert not deploy(path, "--limit", "mailbox").changes
    assert "RocksDb" in shell("mailbox", "cat /opt/tailwart/mailbox/config/config.json")


# Condition on the mailbox host at which a first deploy is killed.
_MOMENTS = {
    "packages": "pgrep -x dpkg && ! pgrep -x dpkg-deb && ls /var/lib/dpkg/info/docker.io.list",
    "compose.yaml": f"test -e {DIRECTORY}/compose.yaml",
    "credentials": f"test -e {DIRECTORY}/credentials",
    "initialised": f"test -e {DIRECTORY}/initialised",
}


# `make chaos` kills at random moments of a first deploy; these three come with the long tests.
_LONG = ("compose.yaml", "credentials", "initialised")


@pytest.mark.parametrize(
    "moment", [pytest.param(each, marks=pytest.mark.long if each in _LONG else ()) for each in (*_MOMENTS, "edit")]
)
@pytest.mark.leaves_deployed
def test_a_deploy_killed_at_any_moment_is_healed_by_the_next(
    lab_environment: Path, installation: Installation, tmp_path: Path, moment: str
) -> None:
    path = lab_environment
    if moment == "packages":
        make_bare("mailbox")
    elif moment != "edit":
        remove_mailbox()
    if moment == "edit":
        deploy(lab_environment)
        path = variant(lab_environment, tmp_path / "env", MAIL_SERVICES="smtp,submissions,submission,imap,imaps,pop3s")
    else:
        installation.other_store = False
        drop_database()
    log = tmp_path / "log"
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "pyinfra"), "-y", "inventory.py", "deploy.py"],
        cwd=ROOT,
        env={**os.environ, "TAILWART_ENV": str(path), "PYINFRA_PROGRESS": "off"},
        stdin=subprocess.DEVNULL,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        if moment == "edit":
            until(lambda: "NetworkListener" in log.read_text(), "the settings to be written", 240, pause=0.05)
        else:
            condition = f"{{ {_MOMENTS[moment]}; }} >/dev/null 2>&1 && echo there || :"
            until(lambda: "there" in shell("mailbox", condition), moment, 240, pause=0.1)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    deploy(path)
    assert deploy(path).changes == {}
    assert set(containers()) == {"ts-stalwart", "stalwart"}
    assert shell("mailbox", "dpkg --audit") == ""
    if path != lab_environment:
        deploy(lab_environment)
    installation.proven()
