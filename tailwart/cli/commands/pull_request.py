"""What is wrong with a policy, as annotations of a pull request: `::error file=policy.hujson,line=12::…`."""

from __future__ import annotations

import os

from tailwart.errors import TailwartError
from tailwart.printing import workflow_command
from tailwart.tailnet.policy import Policy
from tailwart.tailnet.push import PolicyPlan


def wanted(flag: bool) -> bool:
    """Whether to write them: when asked to, and in GitHub Actions."""
    return flag or os.environ.get("GITHUB_ACTIONS") == "true"


def annotate(planned: PolicyPlan, file: str, *, failing: bool) -> None:
    """One annotation for each change (an error when it fails the command), wide rule and warning of the server."""
    policy = Policy(planned.live.text)
    sections = {"tag owner": policy.tag_owners, "grant": policy.grants, "policy test": policy.tests}
    for change in planned.plan.changes:
        node = sections[change.kind].node if change.kind in sections else None
        line = policy.document.line(node.start) if node is not None else 1
        why = f": {change.why}" if change.why else ""
        kind = "error" if failing else "notice"
        workflow_command(kind, f"{change.kind} {change.name} to {change.action}{why}", file=file, line=line)
    for wide in planned.unacknowledged:
        workflow_command("warning", str(wide), file=file, line=wide.rule.line)
    for note in planned.notes:
        workflow_command("warning", note, file=file)
    if planned.refusal is not None:
        annotate_error(planned.refusal, file)


def annotate_error(error: TailwartError, file: str) -> None:
    """The annotation of a policy that cannot be used, at its line where the error has one."""
    line, column = getattr(error, "line", None), getattr(error, "column", None)
    workflow_command("error", str(error), file=file, line=line, col=column)
