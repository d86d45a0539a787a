"""`tailwart migrate-host`: the mailbox on another host and back while mail arrives, failed, killed, and given up."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.dotenv import ssh
from lab.topology import Host
from tailwart.environment import Account, Environment
from tests.lab import outside
from tests.lab.deploying import ROOT, deploy, environment_of, tailwart, variant
from tests.lab.mailbox import containers, shell
from tests.lab.state import Installation, make_bare
from tests.lab.stream import stream
from tests.waiting import until

pytestmark = pytest.mark.long

MESSAGES = 300


def login(environment: Environment, account: Account) -> tuple[str, str]:
    return f"{account.name}@{environment.domain}", account.password.get_secret_value()


def moved(path: Path, target: str, *, expect: int = 0) -> str:
    """Everything that a move says."""
    done = tailwart(path, "migrate-host", target, "--yes", seconds=900)
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def killed(path: Path, target: str, moment: str, log: Path) -> None:
    """A move that is killed, with everything that it started, when it says so."""
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("tailwart")), "migrate-host", target, "--yes"],
        cwd=ROOT,
        env={**os.environ, "TAILWART_ENV": str(path)},
        stdin=subprocess.DEVNULL,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        until(lambda: moment in log.read_text() or process.poll() is not None, f"`{moment}`", 200, pause=0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert moment in log.read_text(), log.read_text()


def pause(said: str) -> str:
    found = re.search(r"mail waited for [0-9.]+ s", said)
    assert found, said
    return found[0]


def running(host: str) -> list[str]:
    return [name for name, item in containers(host).items() if item["State"]["Running"]]


def test_the_mailbox_moves_to_another_host_and_back_and_no_mail_is_lost_or_doubled(
    deployed: Path, environment: Environment, account: Account, spare: Host, tmp_path: Path
) -> None:
    user, password = login(environment, account)
    path = variant(deployed, tmp_path / "env")
    old = str(environment.mailbox_ssh)
    with stream(user, MESSAGES, 0.4) as sent:
        outgoing = [outside.mail_out(user, password, 465) for _ in range(3)]
        there = moved(path, ssh(spare))
        assert f"MAILBOX_SSH={ssh(spare)}" in path.read_text()
        assert f"tailwart migrate-host {old}" in there
        assert "the same by SHA-256" in there
        assert running("mailbox") == [] and len(running("spare")) == 2
        # Whoever has the settings of before starts no second server.
        refused = deploy(deployed, "--limit", "mailbox", expect=1)
        assert running("mailbox") == [], refused.last_lines
        outgoing += [outside.mail_out(user, password, 465) for _ in range(3)]
        outside.read_back(user, password, outside.mail_in(user))
        assert deploy(path).changes == {}, "the deploy at its end has left nothing to do"

        back = moved(path, old)
        assert running("spare") == [] and len(running("mailbox")) == 2
        result = sent.result()
    arrived = until(
        lambda: found if len(set(found := sent.arrived(user, password))) == MESSAGES else None, "all mail", 120, 2
    )
    assert sorted(arrived) == list(range(MESSAGES)), "each message is there, and once"
    for token in outgoing:
        outside.arrived_outside(token)
    counted = "grep -rh '^Subject: lab' /home/friend/Maildir/new /home/friend/Maildir/cur"
    subjects = shell("world", counted)
    assert [subjects.count(token) for token in outgoing] == [1] * len(outgoing)
    print(f"\nthere: {pause(there)}; back: {pause(back)}; stream: {result}")
    assert deploy(deployed).changes == {}


def test_a_move_of_the_embedded_store_that_fails_is_killed_or_given_up_loses_nothing(
    lab_environment: Path, installation: Installation, spare: Host, tmp_path: Path
) -> None:
    path = variant(
        lab_environment,
        tmp_path / "env",
        STALWART_STORE="rocksdb",
        **dict.fromkeys(("BACKENDS_SSH", "BACKENDS_INSTALL", "REDIS_URL", "S3_ENDPOINT")),
    )
    make_bare("mailbox")
    installation.other_store = True
    deploy(path)
    environment = environment_of(path)
    user, password = login(environment, environment.accounts[0])
    outside.put(user, password, 60, "kept")
    before = until(lambda: found if len(found := outside.digests(user, password)) >= 60 else None, "60 messages", 60, 1)
    target, log = ssh(spare), tmp_path / "log"

    assert "machine" in moved(path, str(environment.mailbox_ssh), expect=1)
    with stream(user, MESSAGES, 0.4) as sent:
        # The new host cannot be kept closed, so the old one serves again.
        shell("spare", "mv /usr/bin/nsenter /usr/bin/nsenter.away")
        failed = moved(path, target, expect=1)
        assert "has not moved, and serves on the old host again" in failed
        assert running("spare") == []
        outside.read_back(user, password, outside.mail_in(user))
        shell("spare", "mv /usr/bin/nsenter.away /usr/bin/nsenter")

        killed(path, target, "copying what is left", log)
        assert running("mailbox") == []
        gave_up = tailwart(path, "migrate-host", "--give-up")
        assert gave_up.returncode == 0, gave_up.stderr
        outside.read_back(user, password, outside.mail_in(user))
        assert tailwart(path, "migrate-host", "--give-up").returncode == 1

        killed(path, target, "starting the server behind closed ports", log)
        said = moved(path, target)
        assert "goes on where an earlier run ended" in said
        assert running("mailbox") == [] and len(running("spare")) == 2
        result = sent.result()
    arrived = until(
        lambda: found if len(set(found := sent.arrived(user, password))) == MESSAGES else None, "all mail", 120, 2
    )
    assert sorted(arrived) == list(range(MESSAGES)), "each message is there, and once"
    after = outside.digests(user, password)
    assert {token: after.get(token) for token in before} == before
    print(f"\n{pause(said)} in the run that went on; stream: {result}")
