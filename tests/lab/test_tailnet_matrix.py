"""The policy on the lab's real tailnet: nothing, exactly the grants, drift and its repair, measured node by node."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tailwart.cli.commands.tailnet import installation_nodes
from tailwart.cli.tailnet import tailnet
from tailwart.environment import Environment
from tailwart.tailnet.matrix import Cell, Outcome, Source, Target, measure, parse, script, table
from tailwart.tailnet.nodes import Nodes
from tailwart.tailnet.policy import Policy
from tailwart.tailnet.push import Push
from tailwart.tailnet.session import push
from tests.lab.policy import drop_grants_to
from tests.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.leaves_deployed]
EFFECTIVE_SECONDS = 5


@pytest.fixture
def nodes(environment: Environment) -> Iterator[Nodes]:
    with installation_nodes(environment) as found:
        yield found


@pytest.fixture
def policy(environment: Environment, tmp_path: Path) -> Iterator[Push]:
    """The installation's push; whatever a test did to the policy, it is as desired afterwards."""
    pushed = push(environment)
    pushed = Push(pushed.client, pushed.desired, pushed.acknowledged, tmp_path / "_backup" / "tailnet")
    yield pushed
    pushed.apply()


def measured(nodes: Nodes, policy: Push, targets: list[Target]) -> tuple[Cell, ...]:
    return measure(Policy(policy.client.read().text), nodes.sources(), targets)


def open_ways(cells: tuple[Cell, ...]) -> set[tuple[str, str]]:
    assert all(cell.outcome is not Outcome.UNKNOWN for cell in cells), table(cells)
    return {(cell.source, str(cell.target)) for cell in cells if cell.outcome is not Outcome.CLOSED}


def effective(source: Source, target: Target, wanted: Outcome, since: float) -> None:
    """Waits for one way to open or close, and prints how long after the push it did."""
    until(
        lambda: parse(source.run(script([target], [False]))).get(0) is wanted,
        f"{source.node} → {target} to be {wanted}",
        EFFECTIVE_SECONDS,
        0.1,
    )
    print(f"{source.node} → {target} {wanted} {time.monotonic() - since:.1f} s after the push")


def test_nothing_before_exactly_the_grants_after(environment: Environment, nodes: Nodes, policy: Push) -> None:
    # The stores' names are only visible to nodes with a grant: the addresses are taken while there is one.
    targets = nodes.targets()
    sources = {source.node: source for source in nodes.sources()}
    smtp = next(target for target in targets if str(target) == "mailbox:25")
    removal = push(environment, remove=True)
    Push(removal.client, removal.desired, backup=policy.backup).apply()
    effective(sources["edge-1"], smtp, Outcome.CLOSED, time.monotonic())
    assert open_ways(measured(nodes, policy, targets)) == set()

    policy.apply()
    effective(sources["edge-1"], smtp, Outcome.OPEN, time.monotonic())
    until(
        lambda: all(cell.agrees for cell in measured(nodes, policy, targets)), "every way to be as the policy says", 60
    )
    cells = measured(nodes, policy, targets)
    expected = {
        *(("edge-1", f"mailbox:{port}") for port in (25, 465, 587, 143, 993, 443)),
        *(("mailbox", name) for name in ("postgres:5432", "redis:6379", "s3:3900", "smarthost:587")),
    }
    assert open_ways(cells) == expected, table(cells)


def test_a_grant_removed_by_hand_is_drift_named_and_repaired(
    environment: Environment, nodes: Nodes, policy: Push, deployed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILWART_ENV", str(deployed))
    mailbox = next(source for source in nodes.sources() if source.node == "mailbox")
    relay = next(target for target in nodes.targets() if target.label == "smarthost" and target.port == 587)
    drop_grants_to(environment.tag_mail)
    effective(mailbox, relay, Outcome.CLOSED, time.monotonic())

    drift = CliRunner().invoke(tailnet, ["test"])
    assert drift.exit_code == 1
    assert "mailbox-to-smarthost" in drift.output
    assert "lesson 11" in drift.output
    assert CliRunner().invoke(tailnet, ["matrix", "--json"]).exit_code == 0, (
        "the tailnet does what the edited file says"
    )

    policy.apply()
    effective(mailbox, relay, Outcome.OPEN, time.monotonic())
    assert CliRunner().invoke(tailnet, ["test"]).exit_code == 0
