"""The commands of `tailwart tailnet`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass

import click

from tailwart.connectors.shell import SshRunner
from tailwart.environment import Environment, SshTarget, load
from tailwart.errors import TailwartError
from tailwart.plan import render, to_json
from tailwart.printing import say
from tailwart.tailnet import credentials, snapshots
from tailwart.tailnet.client import PolicyClient
from tailwart.tailnet.matrix import Cell, measure, table
from tailwart.tailnet.nodes import Nodes
from tailwart.tailnet.policy import Policy
from tailwart.tailnet.push import PolicyPlan, replace_whole, unified_diff
from tailwart.tailnet.session import client, push


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: good without a ``problem``."""

    check: str
    problem: str = ""
    remedy: str = ""


def plan(*, as_json: bool, diff: bool, remove: bool, unmarked: bool, exit_code: bool) -> None:
    """Print the plan. Raises `TailwartError` when it is refused, exits with 2 for changes if asked to."""
    planned = push(load().environment, remove=remove, unmarked=unmarked).prepare()
    _show(planned, as_json, diff)
    if planned.refusal is not None:
        raise planned.refusal
    if not as_json:
        say("Next: tailwart tailnet apply" if planned else "Next: tailwart tailnet test")
    if exit_code and planned:
        sys.exit(2)


def apply(*, yes: bool, as_json: bool, diff: bool, remove: bool, unmarked: bool) -> None:
    """Print the plan, ask unless ``yes``, and carry it out. Raises `TailwartError` as `Push.apply` does."""
    environment = load().environment
    pushed = push(environment, remove=remove, unmarked=unmarked)
    planned = pushed.prepare()
    if planned.unmarked and not yes and not as_json and _takes_unmarked(planned):
        pushed = push(environment, remove=remove, unmarked=True)
        planned = pushed.prepare()
    _show(planned, as_json, diff)
    if planned.refusal is not None:
        raise planned.refusal
    if not planned:
        return
    if not yes:
        click.confirm("Write this to the tailnet's policy?", abort=True, err=True)
    pushed.apply(planned, lambda line: say(line, err=True))
    say("Written and read back. Next: tailwart tailnet matrix", err=True)


def _takes_unmarked(planned: PolicyPlan) -> bool:
    say("These look like managed entries, and have no mark:")
    for line in planned.unmarked:
        say(f"  {line}")
    return click.confirm("Remove them too?", err=True)


def test(*, as_json: bool) -> None:
    """Print one finding per check of the live policy; exits with 1 for any problem."""
    environment = load().environment
    pushed = push(environment)
    findings = list(_findings(environment, pushed.client, pushed.prepare()))
    if as_json:
        say(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            say(f"FAIL  {finding.check}: {finding.problem}" if finding.problem else f"ok    {finding.check}")
            if finding.remedy:
                say(f"      remedy: {finding.remedy}")
    if any(finding.problem for finding in findings):
        sys.exit(1)


def restore(snapshot: str | None, *, yes: bool) -> None:
    """Replace the live file by a snapshot, or list the snapshots. Raises `TailwartError` as `replace_whole` does."""
    if snapshot is None:
        for path in snapshots.names():
            say(f"{path.name}  {path.stat().st_size} bytes")
        say("Next: tailwart tailnet restore NAME" if snapshots.names() else "No snapshot in _backup/tailnet yet.")
        return
    text = snapshots.load(snapshot)
    policy_client = client(load().environment)
    live = policy_client.read()
    if text == live.text:
        say("The live file already equals this snapshot.")
        return
    say(unified_diff(live.text, text))
    if not yes:
        click.confirm("Replace the live file by this snapshot?", abort=True, err=True)
    replace_whole(policy_client, live, text, lambda line: say(line, err=True))
    say("Restored and read back. Next: tailwart tailnet plan")


def matrix(*, as_json: bool) -> None:
    """Print the measured matrix; exits with 1 where it contradicts the policy. `TailwartError` without any source."""
    environment = load().environment
    policy = Policy(client(environment).read().text)
    with installation_nodes(environment) as nodes:
        sources = nodes.sources()
        if not sources:
            raise TailwartError("There is no node to measure from", remedy="set MAILBOX_SSH or EDGES in .env")
        cells = measure(policy, sources, nodes.targets())
    wrong = [cell for cell in cells if not cell.agrees]
    if as_json:
        say(json.dumps([_cell(cell) for cell in cells], indent=2))
    else:
        say(table(cells))
        say(_verdict(cells, wrong))
    if wrong:
        sys.exit(1)


def installation_nodes(environment: Environment) -> Nodes:
    """The nodes of the installation over SSH; the lab's own nodes too, when the settings are the lab's."""
    return Nodes(environment, lambda target: SshRunner(environment, target), _lab_nodes(environment))


def _lab_nodes(environment: Environment) -> list[tuple[str, tuple[str, ...], SshTarget]]:
    """The lab's nodes that no setting names: the smarthost, and a node without any grant."""
    from lab import topology

    if environment.ts_tailnet != topology.TAILNET:
        return []
    return [
        (host.node_name, host.node_tags, SshTarget("root", "127.0.0.1", host.ssh_port))
        for host in (topology.CONTROL, topology.RELAY)
    ]


def _show(planned: PolicyPlan, as_json: bool, diff: bool) -> None:
    if as_json:
        say(json.dumps({**to_json(planned.plan), "diff": planned.diff}, indent=2))
        return
    say(render(planned.plan, colour=sys.stdout.isatty()))
    if diff and planned:
        say(planned.diff)


def _findings(environment: Environment, policy_client: PolicyClient, planned: PolicyPlan) -> list[Finding]:
    apply_it = "tailwart tailnet apply, or pyinfra inventory.py deploy.py --limit tailnet"
    found = [Finding("the managed entries are in the live policy")]
    if planned:
        found = [
            Finding(
                f"{change.kind} {change.name}", f"to {change.action}{': ' if change.why else ''}{change.why}", apply_it
            )
            for change in planned.plan.changes
        ]
    if planned.refusal is not None:
        found.append(Finding("the server accepts the policy", planned.refusal.seen, planned.refusal.remedy))
    verdict = policy_client.validate(planned.live.text)
    failed = "; ".join(f"{source}: {problem}" for source, problem in verdict.problems) or verdict.message
    found.append(Finding("the live policy passes its own tests", failed))
    wide = [Finding("wide unmanaged rule", str(one)) for one in planned.unacknowledged]
    found += wide or [Finding("every wide unmanaged rule is acknowledged")]
    owners = {entry.key: entry.value for entry in Policy(planned.live.text).tag_owners.entries}
    keys = [Finding("key", line) for line in credentials.check(policy_client, environment, owners)]
    return found + (keys or [Finding("the keys are valid and have the scopes and tags that they need")])


def _cell(cell: Cell) -> dict[str, object]:
    return {
        "source": cell.source,
        "target": str(cell.target),
        "address": cell.target.address,
        "allowed": cell.allowed,
        "outcome": cell.outcome.value,
        "agrees": cell.agrees,
    }


def _verdict(cells: tuple[Cell, ...], wrong: list[Cell]) -> str:
    if not wrong:
        return f"All {len(cells)} measured connections match the policy."
    lines = [f"{len(wrong)} of {len(cells)} measured connections contradict the policy:"]
    for cell in wrong:
        rule = "allows" if cell.allowed else "denies"
        lines.append(f"  {cell.source} → {cell.target}: the policy {rule} it, measured {cell.outcome}")
    lines.append(
        "Next: tailwart tailnet plan; `unknown` means a node that is not on the tailnet or that SSH does not reach."
    )
    return "\n".join(lines)
