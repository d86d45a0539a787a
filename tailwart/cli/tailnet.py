"""`tailwart tailnet`: the policy without the rest of the deploy."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass

import click

from tailwart.environment import Environment, SshTarget, load
from tailwart.errors import TailwartError
from tailwart.plan import render, to_json
from tailwart.tailnet import credentials, snapshots
from tailwart.tailnet.client import PolicyClient
from tailwart.tailnet.matrix import Cell, measure, table
from tailwart.tailnet.nodes import Nodes
from tailwart.tailnet.policy import Policy
from tailwart.tailnet.push import PolicyPlan, replace_whole, unified_diff
from tailwart.tailnet.session import client, push


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `test`."""

    check: str
    problem: str = ""
    remedy: str = ""


@click.group()
def tailnet() -> None:
    """The tailnet policy: plan, apply, test, restore, matrix.

    Our entries are merged into the live file and known by a mark; everything else in it stays byte for byte.
    """


@tailnet.command()
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option("--diff/--no-diff", default=True, show_default=True, help="Show the unified diff of the file.")
@click.option("--remove", is_flag=True, help="Plan the removal of all our entries.")
@click.option("--exit-code", is_flag=True, help="Exit with 2 when there is something to change.")
def plan(as_json: bool, diff: bool, remove: bool, exit_code: bool) -> None:
    """Show what `apply` would write. The server validates it; nothing is changed."""
    planned = push(load().environment, remove=remove).prepare()
    _show(planned, as_json, diff)
    if planned.refusal is not None:
        raise planned.refusal
    if not as_json:
        click.echo("Next: tailwart tailnet apply" if planned else "Next: tailwart tailnet test")
    if exit_code and planned:
        sys.exit(2)


@tailnet.command()
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option("--diff/--no-diff", default=True, show_default=True, help="Show the unified diff of the file.")
@click.option("--remove", is_flag=True, help="Take all our entries out of the file, before giving the system up.")
def apply(yes: bool, as_json: bool, diff: bool, remove: bool) -> None:
    """Write our entries into the live file, with a snapshot in _backup/tailnet/ before."""
    pushed = push(load().environment, remove=remove)
    planned = pushed.prepare()
    _show(planned, as_json, diff)
    if planned.refusal is not None:
        raise planned.refusal
    if not planned:
        return
    if not yes:
        click.confirm("Write this to the tailnet's policy?", abort=True, err=True)
    pushed.apply(planned, lambda line: click.echo(line, err=True))
    click.echo("Written and read back. Next: tailwart tailnet matrix", err=True)


@tailnet.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def test(as_json: bool) -> None:
    """Verify the live policy: our entries, the tests, wide foreign rules, the keys. Exits with 1 for any problem."""
    environment = load().environment
    pushed = push(environment)
    findings = list(_findings(environment, pushed.client, pushed.prepare()))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(f"FAIL  {finding.check}: {finding.problem}" if finding.problem else f"ok    {finding.check}")
            if finding.remedy:
                click.echo(f"      remedy: {finding.remedy}")
    if any(finding.problem for finding in findings):
        sys.exit(1)


@tailnet.command()
@click.argument("snapshot", required=False)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def restore(snapshot: str | None, yes: bool) -> None:
    """Put a snapshot of the file back: a name from the list, its beginning, a path, or `latest`.

    Without a name: list the snapshots. Edits made by anybody since the snapshot are undone; the diff shows them.
    """
    if snapshot is None:
        for path in snapshots.names():
            click.echo(f"{path.name}  {path.stat().st_size} bytes")
        click.echo(
            "Next: tailwart tailnet restore NAME" if snapshots.names() else "No snapshot in _backup/tailnet yet."
        )
        return
    text = snapshots.load(snapshot)
    policy_client = client(load().environment)
    live = policy_client.read()
    if text == live.text:
        click.echo("The live file is this snapshot already.")
        return
    click.echo(unified_diff(live.text, text))
    if not yes:
        click.confirm("Replace the live file by this snapshot?", abort=True, err=True)
    replace_whole(policy_client, live, text, lambda line: click.echo(line, err=True))
    click.echo("Restored and read back. Next: tailwart tailnet plan")


@tailnet.command()
@click.option("--json", "as_json", is_flag=True, help="Print the matrix as JSON.")
def matrix(as_json: bool) -> None:
    """Measure who reaches whom, over SSH on every node, and compare it with the live policy.

    Exits with 1 when they differ.
    """
    environment = load().environment
    policy = Policy(client(environment).read().text)
    with Nodes(environment, lab_nodes(environment)) as nodes:
        sources = nodes.sources()
        if not sources:
            raise TailwartError("There is no node to measure from", remedy="set MAILBOX_SSH or EDGES in .env")
        cells = measure(policy, sources, nodes.targets())
    wrong = [cell for cell in cells if not cell.agrees]
    if as_json:
        click.echo(json.dumps([_cell(cell) for cell in cells], indent=2))
    else:
        click.echo(table(cells))
        click.echo(_verdict(cells, wrong))
    if wrong:
        sys.exit(1)


def lab_nodes(environment: Environment) -> list[tuple[str, tuple[str, ...], SshTarget]]:
    """The lab's nodes that no setting names: the smarthost, and a node that nobody granted anything."""
    from lab import topology  # noqa: PLC0415  # only when the settings are the lab's

    if environment.ts_tailnet != topology.TAILNET:
        return []
    return [
        (host.node_name, host.node_tags, SshTarget("root", "127.0.0.1", host.ssh_port))
        for host in (topology.CONTROL, topology.RELAY)
    ]


def _show(planned: PolicyPlan, as_json: bool, diff: bool) -> None:
    if as_json:
        click.echo(json.dumps({**to_json(planned.plan), "diff": planned.diff}, indent=2))
        return
    click.echo(render(planned.plan, colour=sys.stdout.isatty()))
    if diff and planned:
        click.echo(planned.diff)


def _findings(environment: Environment, policy_client: PolicyClient, planned: PolicyPlan) -> list[Finding]:
    apply_it = "tailwart tailnet apply, or pyinfra inventory.py deploy.py --limit tailnet"
    found = [Finding("our entries are in the live policy")]
    if planned:
        found = [
            Finding(
                f"{change.kind} {change.name}", f"to {change.action}{': ' if change.why else ''}{change.why}", apply_it
            )
            for change in planned.plan.changes
        ]
    if planned.refusal is not None:
        found.append(Finding("the server takes the policy", planned.refusal.seen, planned.refusal.remedy))
    verdict = policy_client.validate(planned.live.text)
    failed = "; ".join(f"{source}: {problem}" for source, problem in verdict.problems) or verdict.message
    found.append(Finding("the live policy passes its own tests", failed))
    wide = [Finding("wide foreign rule", str(one)) for one in planned.unacknowledged]
    found += wide or [Finding("no wide foreign rule is unacknowledged")]
    owners = {entry.key: entry.value for entry in Policy(planned.live.text).tag_owners.entries}
    keys = [Finding("key", line) for line in credentials.check(policy_client, environment, owners)]
    return found + (keys or [Finding("keys: valid, with the scopes and tags that they need")])


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
        return f"All {len(cells)} ways are as the policy says."
    lines = [f"{len(wrong)} of {len(cells)} ways are not as the policy says:"]
    for cell in wrong:
        said = "opens" if cell.allowed else "closes"
        lines.append(f"  {cell.source} → {cell.target}: the policy {said} it, measured {cell.outcome}")
    lines.append(
        "Next: tailwart tailnet plan; a node that is `unknown` is not on the tailnet, or SSH does not reach it."
    )
    return "\n".join(lines)
