"""`tailwart store move` for message bodies: from the bucket to the data store and back, killed in between."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tailwart.environment import Account, Environment
from tests.lab import outside
from tests.lab.deploying import deploy, environment_of, variant
from tests.lab.mailbox import DIRECTORY, shell
from tests.lab.moving import command, moved
from tests.waiting import until

pytestmark = pytest.mark.long


def _all_there(environment: Environment, user: Account, tokens: list[str]) -> None:
    for token in tokens:
        outside.read_back(f"{user.name}@{environment.domain}", user.password.get_secret_value(), token)


def _noted() -> dict[str, str]:
    text = shell("mailbox", f"cat {DIRECTORY}/store-move/state.json 2>/dev/null || echo '{{}}'")
    return dict(json.loads(text))


def test_message_bodies_move_to_the_data_store_and_back_to_the_bucket(deployed: Path, tmp_path: Path) -> None:
    inside = variant(deployed, tmp_path / "inside", S3_ENDPOINT=None, BACKENDS_INSTALL="postgres,redis")
    log = tmp_path / "log"
    environment = environment_of(deployed)
    user = environment.accounts[0]
    address = f"{user.name}@{environment.domain}"
    tokens = [outside.mail_in(address) for _ in range(3)]
    _all_there(environment, user, tokens)

    refused = deploy(inside, "--limit", "mailbox", expect=1)
    for said in ("bucket stalwart-mail at", "the data store", "tailwart store move"):
        assert said in refused.stdout + refused.stderr
    assert not deploy(deployed, "--limit", "mailbox").changes, "refused before anything changed"

    # Killed in the middle, with the settings on the new place: no deploy goes on from there, and the next run does.
    killed = command(inside, log)
    try:
        until(lambda: "switched" in _noted(), "the settings to name the new place", 180, pause=0.2)
    finally:
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
    half = deploy(inside, "--limit", "mailbox", expect=1)
    assert "tailwart store move" in half.stdout + half.stderr
    said = moved(inside, log)
    assert "equal by SHA-256" in said
    _all_there(environment, user, tokens)
    assert not _noted()
    tokens.append(outside.mail_in(address))
    assert not deploy(inside, "--limit", "mailbox").changes

    said = moved(deployed, log)
    assert "read back from bucket stalwart-mail" in said
    _all_there(environment, user, tokens)
    tokens.append(outside.mail_in(address))
    _all_there(environment, user, tokens[-1:])
    deploy(deployed, "--limit", "mailbox")
    assert not deploy(deployed, "--limit", "mailbox").changes
