"""`tailwart trace` and `tailwart queue` on the lab: messages that arrive, wait, are tried again, and are dropped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tailwart.environment import Account, Environment
from tests.lab import outside
from tests.lab.deploying import said, tailwart
from tests.lab.mailbox import shell
from tests.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.leaves_deployed]


@contextmanager
def silent_smarthost() -> Iterator[None]:
    """Nothing answers at the relay."""
    shell("relay", "systemctl stop postfix")
    try:
        yield
    finally:
        shell("relay", "systemctl start postfix")


def traced(path: Path, term: str) -> list[dict[str, Any]]:
    """The messages that `tailwart trace` finds; none is exit code 1."""
    found: list[dict[str, Any]] = json.loads(said(path, "trace", term, "--since", "10m", "--json"))
    return found


def waiting(path: Path) -> list[dict[str, Any]]:
    """The messages to the outside world that wait."""
    document = json.loads(said(path, "queue", "list", "--search", outside.OUTSIDE_USER, "--json"))
    return list(document["messages"])


def test_a_message_that_arrives_is_followed_from_its_sender_to_the_mailbox(
    deployed: Path, environment: Environment, account: Account
) -> None:
    user = f"{account.name}@{environment.domain}"
    token = outside.mail_in(user)
    outside.read_back(user, account.password.get_secret_value(), token)
    message = until(lambda: [item for item in traced(deployed, user) if item["outcome"] == "delivered"], "its end")[-1]
    assert outside.WORLD_ADDRESS in {step.get("remoteIp") for step in message["steps"]}
    text = said(deployed, "trace", message["number"])
    assert text.startswith(f"{message['number']}: delivered")


def test_a_message_waits_is_tried_again_and_leaves(deployed: Path, environment: Environment, account: Account) -> None:
    user = f"{account.name}@{environment.domain}"
    with silent_smarthost():
        token = outside.mail_out(user, account.password.get_secret_value())
        (message,) = until(
            lambda: [item for item in waiting(deployed) if item["recipients"][0]["answer"]], "its first try", 60
        )
        assert message["from"] == user
        assert f"{outside.OUTSIDE_USER}: 1 tries" in said(deployed, "queue", "list")
        assert "waits" in {item["outcome"] for item in traced(deployed, outside.OUTSIDE_USER)}
    said(deployed, "queue", "retry", "--to", outside.OUTSIDE_USER.partition("@")[2])
    outside.arrived_outside(token)
    until(lambda: not waiting(deployed), "an empty queue", 60)


def test_a_cancelled_message_never_leaves(deployed: Path, environment: Environment, account: Account) -> None:
    user = f"{account.name}@{environment.domain}"
    with silent_smarthost():
        outside.mail_out(user, account.password.get_secret_value())
        (message,) = until(lambda: waiting(deployed), "the message in the queue", 60)
        assert "add --yes" in refused(deployed, message["id"])
        assert json.loads(said(deployed, "queue", "cancel", message["id"], "--yes", "--json")) == {"messages": 1}
        until(lambda: not waiting(deployed), "an empty queue", 60)


def refused(path: Path, identifier: str) -> str:
    """What is said to somebody who is not asked because there is no terminal."""
    done = tailwart(path, "queue", "cancel", identifier)
    assert done.returncode == 1
    return done.stderr
