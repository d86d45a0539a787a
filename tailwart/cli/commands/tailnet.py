"""The commands of `tailwart tailnet`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import click

from tailwart.cli.commands import pull_request
from tailwart.connectors.shell import SshRunner
from tailwart.environment import Environment, SshTarget, load
from tailwart.errors import TailwartError
from tailwart.plan import render, to_json
from tailwart.printing import say
from tailwart.tailnet import credentials, local, snapshots
from tailwart.tailnet.client import PolicyClient
from tailwart.tailnet.matrix import Cell, measure, table
from tailwart.tailnet.nodes import Nodes
from tailwart.tailnet.policy import Policy
from tailwart.tailnet.push import PolicyPlan, Push, replace_whole, unified_diff
from tailwart.tailnet.session import client, push, wanted


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: good without a ``problem``."""

    check: str
    problem: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Which policy, and what for: the live one or that of a ``file`` (`-`: standard input); annotations; a removal."""

    file: str | None
    annotate: bool
    remove: bool = False
    unmarked: bool = False

    @property
    def again(self) -> str:
        """The option that names this source once more."""
        return f" --file {self.file}" if self.file else ""


def plan(source: Source, *, as_json: bool, diff: bool, exit_code: bool) -> None:
    """Print the plan. Raises `TailwartError` when it is refused, exits with 2 for changes if asked to."""
    with _annotated(source):
        environment = load().environment
        planned = _of_file(source, environment)[1] if source.file else _push(source, environment).prepare()
    _annotate(source, planned, failing=exit_code)
    _show(planned, as_json, diff)
    if planned.refusal is not None:
        raise planned.refusal
    if not as_json:
        after = "" if source.file else "Next: tailwart tailnet test"
        say(f"Next: tailwart tailnet apply{source.again}" if planned else after, nl=bool(planned or after))
    if exit_code and planned:
        sys.exit(2)


def apply(source: Source, *, yes: bool, as_json: bool, diff: bool) -> None:
    """Print the plan, ask unless ``yes``, and carry it out. Raises `TailwartError` as `Push.apply` does."""
    if source.file:
        _apply_to_file(source, yes=yes, as_json=as_json, diff=diff)
        return
    with _annotated(source):
        environment = load().environment
        pushed = _push(source, environment)
        planned = pushed.prepare()
    if planned.unmarked and not yes and not as_json and _takes_unmarked(planned):
        pushed = _push(replace(source, unmarked=True), environment)
        planned = pushed.prepare()
    _annotate(source, planned, failing=False)
    _show(planned, as_json, diff)
    if planned.refusal is not None:
        raise planned.refusal
    if not planned:
        return
    if not yes:
        click.confirm("Write this to the tailnet's policy?", abort=True, err=True)
    pushed.apply(planned, lambda line: say(line, err=True))
    say("Written and read back. Next: tailwart tailnet matrix", err=True)


def _apply_to_file(source: Source, *, yes: bool, as_json: bool, diff: bool) -> None:
    """The file with the managed entries in it; from standard input to standard output without a question."""
    assert source.file is not None, "asked with a file only"
    filtering = source.file == local.STDIN
    if filtering and as_json:
        raise click.UsageError("--json and --file - both want standard output")
    with _annotated(source):
        environment = load().environment
        text, planned = _of_file(source, environment)
        if planned.unmarked and not (yes or as_json or filtering) and _takes_unmarked(planned):
            entries = wanted(environment, remove=True, unmarked=True)
            planned = local.plan_text(text, entries, tuple(environment.ts_acknowledged))
    _annotate(source, planned, failing=False)
    _show(planned, as_json, diff, err=filtering)
    if planned.refusal is not None:
        raise planned.refusal
    if filtering:
        sys.stdout.flush()
        sys.stdout.buffer.write(planned.text.encode())
        return
    if not planned:
        return
    if not yes:
        click.confirm(f"Write this to {source.file}?", abort=True, err=True)
    local.write(source.file, planned.text)
    say(f"{source.file} is written. Next: commit it, and let its own workflow push it", err=True)


def _push(source: Source, environment: Environment) -> Push:
    return push(environment, remove=source.remove, unmarked=source.unmarked)


def _of_file(source: Source, environment: Environment) -> tuple[str, PolicyPlan]:
    assert source.file is not None, "asked with a file only"
    text = local.read(source.file)
    entries = wanted(environment, remove=source.remove, unmarked=source.unmarked)
    return text, local.plan_text(text, entries, tuple(environment.ts_acknowledged))


def _file_name(source: Source) -> str:
    return "" if source.file in (None, local.STDIN) else str(source.file)


@contextmanager
def _annotated(source: Source) -> Iterator[None]:
    """What makes a plan impossible becomes an annotation too."""
    try:
        yield
    except TailwartError as error:
        if pull_request.wanted(source.annotate):
            pull_request.annotate_error(error, _file_name(source))
        raise


def _annotate(source: Source, planned: PolicyPlan, *, failing: bool) -> None:
    if pull_request.wanted(source.annotate):
        pull_request.annotate(planned, _file_name(source), failing=failing)


def _takes_unmarked(planned: PolicyPlan) -> bool:
    say("These look like managed entries, and have no mark:", err=True)
    for line in planned.unmarked:
        say(f"  {line}", err=True)
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
    environment = load().environment
    policy_client = client(environment)
    live = policy_client.read()
    if text == live.text:
        say("The live file already equals this snapshot.")
        return
    say(unified_diff(live.text, text))
    if not yes:
        click.confirm("Replace the live file by this snapshot?", abort=True, err=True)
    acknowledged = tuple(environment.ts_acknowledged)
    replace_whole(policy_client, live, text, lambda line: say(line, err=True), acknowledged)
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


def _show(planned: PolicyPlan, as_json: bool, diff: bool, err: bool = False) -> None:
    if as_json:
        say(json.dumps({**to_json(planned.plan), "diff": planned.diff}, indent=2))
        return
    say(render(planned.plan, colour=(sys.stderr if err else sys.stdout).isatty()), err=err)
    if diff and planned:
        say(planned.diff, err=err)


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
        found.append(Finding(planned.refusal.what, planned.refusal.seen, planned.refusal.remedy))
    verdict = policy_client.validate(planned.live.text)
    failed = "; ".join(f"{source}: {problem}" for source, problem in verdict.problems) or verdict.message
    found.append(Finding("the live policy passes its own tests", failed))
    found += [Finding(f"the server warns: {note}") for note in verdict.notes]
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
