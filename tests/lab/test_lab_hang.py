"""A server or a sidecar that hangs is restarted by the host alone, and the next run tells it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lab import topology
from tailwart.environment import Account, Environment
from tests.lab import outside
from tests.lab.deploying import deploy
from tests.lab.mailbox import DIRECTORY, containers, shell, started
from tests.waiting import until

pytestmark = pytest.mark.leaves_deployed

# The engine calls a container unhealthy after five checks in a row, each of which runs into its limit of ten seconds.
DETECTED_SECONDS = 180
_DROP_IN = "/run/systemd/system/tailwart-mailbox.service.d/impatient.conf"
_AGAIN = "systemctl daemon-reload && systemctl restart tailwart-mailbox.service"


@pytest.fixture
def impatient(deployed: Path) -> Iterator[None]:
    """The host acts as soon as the engine calls a container unhealthy, not five checks later."""
    setting = "[Service]\\nEnvironment=FOLLOW_PATIENCE=5 FOLLOW_STEP=2\\n"
    shell("mailbox", f"mkdir -p {_DROP_IN.rpartition('/')[0]} && printf '{setting}' >{_DROP_IN} && {_AGAIN}")
    yield
    shell("mailbox", f"rm -f {_DROP_IN} {DIRECTORY}/restarts.log && {_AGAIN}")


def restarted_since(before: dict[str, str], name: str) -> bool:
    return started()[name] != before[name]


def all_healthy() -> bool:
    return all(item["State"]["Health"]["Status"] == "healthy" for item in containers().values())


def mail_arrives(user: str, password: str) -> None:
    """A message from outside through an edge reaches the mailbox."""
    edge = topology.edge(1).ipv4

    def answers() -> bool:
        return outside.connects("world", edge, 25, banner=True).banner.startswith("220 ")

    until(answers, "the mailbox to answer", 90)
    outside.read_back(user, password, outside.mail_in(user))


@pytest.mark.usefixtures("impatient")
def test_what_hangs_is_restarted_by_the_host_and_told(
    deployed: Path, environment: Environment, account: Account
) -> None:
    user, password = f"{account.name}@{environment.domain}", account.password.get_secret_value()
    server = "$(docker inspect --format '{{.State.Pid}}' stalwart)"
    for name, process in (("stalwart", server), ("ts-stalwart", "$(pgrep -x tailscaled)")):
        before = started()
        shell("mailbox", f"kill -STOP {process}")
        until(partial(restarted_since, before, name), f"{name}'s restart", DETECTED_SECONDS)
        mail_arrives(user, password)
    # It answers before its next healthcheck says so, and a run waits for one that is still starting.
    until(all_healthy, "both containers to be healthy", 90)
    told = deploy(deployed, "--limit", "mailbox")
    assert told.changes == {}, told.output
    for name in ("stalwart", "ts-stalwart"):
        assert f"! {name} hung and was restarted on " in told.output


def test_a_container_that_was_paused_by_hand_is_resumed_by_the_next_run(
    deployed: Path, environment: Environment, account: Account
) -> None:
    before = started()
    shell("mailbox", "docker pause stalwart")
    run = deploy(deployed, "--limit", "mailbox")
    assert "stalwart is paused" in run.output
    assert containers()["stalwart"]["State"]["Status"] == "running"
    assert started() == before, "resumed, not restarted"
    mail_arrives(f"{account.name}@{environment.domain}", account.password.get_secret_value())
    assert deploy(deployed, "--limit", "mailbox").changes == {}
