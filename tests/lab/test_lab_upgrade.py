"""From the oldest supported release of Stalwart to the default one, past an image that never becomes healthy."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab import hosts
from tailwart import releases
from tailwart.environment import Account, Environment
from tailwart.releases import SUPPORTED
from tests.lab import outside
from tests.lab.deploying import ROOT, deploy, variant
from tests.lab.mailbox import shell, started
from tests.lab.stream import stream
from tests.waiting import until

pytestmark = pytest.mark.leaves_deployed

MESSAGES = 1000
EVERY = 0.21  # seconds: the server takes five a second, and the stream as long as the upgrades


def running() -> str:
    """The version of the server that runs in the container."""
    return releases.find(shell("mailbox", "docker exec stalwart stalwart --version"))


def tailwart(path: Path, *words: str, expect: int = 0, everything: bool = False) -> str:
    """What a command of tailwart prints; with ``everything``, or when it fails, what it says beside that as well."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "tailwart"), *words],
        cwd=ROOT,
        env={**os.environ, "TAILWART_ENV": str(path), "PYINFRA_PROGRESS": "off"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + (done.stderr if expect or everything else "")


def planned(path: Path) -> list[Any]:
    """What `tailwart settings plan` would write."""
    changes: list[Any] = json.loads(tailwart(path, "settings", "plan", "--json"))["changes"]
    return changes


def test_an_upgrade_is_proven_or_taken_back_and_loses_no_mail(
    deployed: Path, environment: Environment, account: Account, tmp_path: Path
) -> None:
    user, password = f"{account.name}@{environment.domain}", account.password.get_secret_value()
    image = environment.stalwart_image
    earlier = image.replace(f".{SUPPORTED.default}", f".{SUPPORTED.oldest}")
    assert earlier != image
    path = variant(deployed, tmp_path / "env", STALWART_IMAGE=earlier)
    deploy(path)
    assert running() == f"0.16.{SUPPORTED.oldest}"
    before = outside.mail_in(user)
    outside.read_back(user, password, before)

    # Runs, and never answers; it ends when it is told to.
    broken = f"{image.rpartition(':')[0]}:v0.16.{SUPPORTED.default}-broken"
    dockerfile = f'FROM {earlier}\nENTRYPOINT ["sh", "-c", "trap exit TERM; while :; do sleep 1; done"]\n'
    hosts.exec("mailbox", ["docker", "build", "-qt", broken, "-"], stdin=dockerfile.encode())
    with stream(user, MESSAGES, EVERY) as sent:
        failed = deploy(variant(path, tmp_path / "broken", STALWART_IMAGE=broken), expect=1)
        assert running() == f"0.16.{SUPPORTED.oldest}"
        for expected in ("taken back", "nobody answered for", "nothing that was accepted is lost", "STALWART_IMAGE"):
            assert expected in failed.last_lines
        serving = started()
        again = deploy(tmp_path / "broken", expect=1)
        assert "failed its proof on this host before" in again.last_lines
        assert started() == serving, "a refused image stops nothing"

        shown = tailwart(path, "upgrade", "--to", f"0.16.{SUPPORTED.default}", "--yes")
        assert running() == f"0.16.{SUPPORTED.default}"
        assert f"STALWART_IMAGE={image}" in path.read_text()
        result = sent.result()
    assert result["deferred"], "the stream ended before the upgrade, or went on without noticing it"
    arrived = until(
        lambda: found if len(set(found := sent.arrived(user, password))) == MESSAGES else None, "all mail", 90
    )
    assert sorted(set(arrived)) == list(range(MESSAGES))
    outside.read_back(user, password, before)
    # A message has proven it, and the pause is printed.
    subject = f"Stalwart 0.16.{SUPPORTED.oldest} → 0.16.{SUPPORTED.default}"
    report = next(
        line
        for line in json.loads(tailwart(path, "history", "--json"))[0]["hosts"]["mailbox"]["details"]
        if line.startswith(f"{subject}: healthy")
    )
    print(f"\n{report}; the failed one: {re.search(r'nobody answered for [0-9.]+ s', failed.output)}; stream: {result}")
    assert shown.rstrip().splitlines()[-1].startswith(f"Stalwart 0.16.{SUPPORTED.default} serves.")
    assert "/var/lib/tailwart/before-upgrade.dump" in shell("backends", "ls -l /var/lib/tailwart/*")
    assert planned(path) == []
    assert deploy(path).changes == {}
    assert tailwart(path, "upgrade", "--yes").startswith(f"Stalwart 0.16.{SUPPORTED.default} runs already")
