"""Plan and push: read → merge → validate on the server → snapshot → write with If-Match → read back.

A conflict (412) or a write of unknown outcome starts over from the live file, at most `MAX_ROUNDS` times, so another
edit is merged with this one and never overwritten.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tailwart.errors import TailwartError
from tailwart.plan.model import Action, Plan
from tailwart.tailnet import external, snapshots
from tailwart.tailnet.client import Conflict, PolicyClient, PolicyFile, Verdict
from tailwart.tailnet.desired import Desired, PolicyTest
from tailwart.tailnet.hujson import value
from tailwart.tailnet.merge import merge_into
from tailwart.tailnet.policy import Policy
from tailwart.tailnet.removal import INSIST, consequences, nothing_marked
from tailwart.tailnet.requesting import OutcomeUnknown
from tailwart.tailnet.wide import WideRule, wide_rules, without_broken

MAX_ROUNDS = 3
PLANE = "tailnet"
# "address "tag:x:22" (protocol "tcp"): want: Drop, got: Accept", or headscale's "… -> tag:x:22 …: expected DENIED, …"
_OPEN_WAY = re.compile(r'(?:address "|-> )([^"\s]+:\d+)"?.*(?:want: Drop|expected DENIED)')


@dataclass(frozen=True, slots=True)
class PolicyPlan:
    """What would be written: the live file, the new ``text``, the changes, and the wide rules of the live file.

    True when there is something to write. ``refusal`` says why nothing may be: the server does not accept the new text,
    or a removal would pass over entries that have lost their marks, which ``unmarked`` names, or the policy is managed
    elsewhere. ``notes`` are warnings of the server.
    """

    live: PolicyFile
    text: str
    plan: Plan
    wide: tuple[WideRule, ...]
    refusal: TailwartError | None = None
    unmarked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.plan)

    @property
    def diff(self) -> str:
        """A unified diff of the file; empty when nothing changes."""
        return unified_diff(self.live.text, self.text)

    @property
    def unacknowledged(self) -> tuple[WideRule, ...]:
        """The wide rules that fail the verification."""
        return tuple(wide for wide in self.wide if not wide.acknowledged)


@dataclass(frozen=True, slots=True)
class Push:
    """The push of one installation: API, desired entries, labels of acknowledged wide rules, directory of snapshots."""

    client: PolicyClient
    desired: Desired
    acknowledged: tuple[str, ...] = ()
    backup: Path = snapshots.DIRECTORY

    def prepare(self) -> PolicyPlan:
        """Read, plan, and let the server validate what would be written. Writes nothing.

        Raises `TailwartError` when the API fails and when the file cannot be merged.
        """
        live = self.client.read()
        planned = make_plan(live, self.desired, self.acknowledged)
        if not planned or planned.refusal is not None:
            return planned
        elsewhere = managed_elsewhere(self.client, live.text, self.acknowledged)
        if elsewhere is not None:
            return replace(planned, refusal=elsewhere.refusal())
        verdict = self.client.validate(planned.text)
        if verdict:
            return _noted(planned, verdict)
        # Only the server can resolve some selectors: a node with two tags, an address in `hosts`.
        open_ways = _open_ways(verdict)
        narrowed = make_plan(live, self.desired, self.acknowledged, open_ways) if open_ways else planned
        if narrowed.text != planned.text:
            verdict = self.client.validate(narrowed.text) if narrowed else Verdict()
        return _noted(narrowed, verdict) if verdict else replace(narrowed, refusal=refused(verdict))

    def apply(self, planned: PolicyPlan | None = None, log: Callable[[str], None] = lambda _: None) -> PolicyPlan:
        """Bring the live file to the desired state, and return the last plan.

        ``planned`` is an earlier plan to start with, ``log`` gets lines for the operator. Raises
        `TailwartError` when the server refuses the file, and after `MAX_ROUNDS` conflicts.
        """
        cause = ""
        for _ in range(MAX_ROUNDS):
            planned = planned or self.prepare()
            if planned.refusal is not None:
                raise planned.refusal
            if not planned:
                return planned
            log(f"snapshot from before the write: {snapshots.save(planned.live.text, self.backup)}")
            try:
                self.client.write(planned.text, planned.live.etag)
            except (Conflict, OutcomeUnknown) as error:
                cause = f"{error.what} ({error.seen})"
                log(f"{error.what}; starting over from the live file")
                planned = None
                continue
            self._read_back(planned)
            return planned
        # A write of unknown outcome may have happened after all.
        planned = self.prepare()
        if not planned:
            return planned
        raise TailwartError(
            f"The policy could not be written in {MAX_ROUNDS} attempts",
            seen=cause,
            expected="no other edit during a push",
            remedy="find out who edits the policy (admin console: Logs, Configuration), then run again",
        )

    def _read_back(self, written: PolicyPlan) -> None:
        changes = make_plan(self.client.read(), self.desired, self.acknowledged).plan.changes
        # Tests that the server would fail were skipped on purpose.
        left = [change for change in changes if change.kind != "policy test"]
        if left:
            raise TailwartError(
                "The policy was written, but reading it back shows something else",
                seen=", ".join(f"{change.kind} {change.name} to {change.action}" for change in left),
                expected=f"the {len(written.plan.changes)} changes that were written",
                remedy="another edit may have followed: run tailwart tailnet plan",
            )


def managed_elsewhere(
    client: PolicyClient, text: str, acknowledged: tuple[str, ...]
) -> external.ManagedElsewhere | None:
    """Where the policy is kept, when the file or the API says that it is elsewhere and TS_ACKNOWLEDGED does not."""
    found = external.by_comment(Policy(text).document) or external.by_setting(client.settings())
    return found if found is not None and found.label not in acknowledged else None


def _noted(planned: PolicyPlan, verdict: Verdict) -> PolicyPlan:
    warnings = (*planned.plan.warnings, *(f"the server warns: {note}" for note in verdict.notes))
    return replace(planned, plan=replace(planned.plan, warnings=warnings), notes=verdict.notes)


def make_plan(
    live: PolicyFile,
    desired: Desired,
    acknowledged: tuple[str, ...] = (),
    open_ways: frozenset[tuple[str, str]] = frozenset(),
) -> PolicyPlan:
    """The plan for a file; pure.

    ``acknowledged`` are labels of wide rules (TS_ACKNOWLEDGED). ``open_ways`` are connections, as (source, tag:port),
    that the server reports as open although no rule in the text shows it: their tests are skipped.

    Raises `TailwartError` as `merge_into` does.
    """
    policy = Policy(live.text)
    tests, broken = (desired.tests, ()) if desired.removing else without_broken(policy, desired)
    notes = [_skipped(test, tag, port, f"line {rule.line} ({rule.label})") for test, tag, port, rule in broken]
    kept = []
    for test in tests:
        deny = tuple(way for way in test.deny if not _is_open(test, *way, open_ways))
        notes += [_skipped(test, *way, "the server") for way in test.deny if way not in deny]
        if test.accept or deny:
            kept.append(replace(test, deny=deny))
    merged = merge_into(policy, replace(desired, tests=tuple(kept)))
    wide = () if desired.removing else wide_rules(policy, desired, acknowledged)
    warnings = [str(one) for one in wide if not one.acknowledged]
    posture = policy.value("defaultSrcPosture")
    if posture and desired.grants and not desired.removing:
        warnings.append(
            f"defaultSrcPosture ({', '.join(map(str, posture))}) holds for the managed grants too: edges and mailbox "
            "must meet it, or nothing reaches the mailbox"
        )
    if merged.changes and desired.grants and policy.allows_all and not desired.removing:
        warnings.append(
            "the file has neither acls nor grants, which allows everything; with the first grant everything else closes"
        )
    if any(change.action is Action.DELETE for change in merged.changes):
        warnings += consequences(policy, Policy(merged.text))
    refusal = nothing_marked(merged.unmarked) if merged.unmarked and not (merged.changes or merged.kept) else None
    if merged.unmarked and refusal is None:
        warnings += [f"{line}: has no mark, and stays; {INSIST} takes it too" for line in merged.unmarked]
    known = [str(one) for one in wide if one.acknowledged]
    plan = Plan(
        PLANE,
        merged.changes,
        unmanaged=(*merged.satisfied, *merged.kept, *known, *_other_installations(policy, desired)),
        warnings=(*warnings, *notes),
    )
    return PolicyPlan(live, merged.text, plan, wide, refusal, merged.unmarked)


def replace_whole(
    client: PolicyClient,
    live: PolicyFile,
    text: str,
    log: Callable[[str], None],
    acknowledged: tuple[str, ...] = (),
) -> None:
    """Replace the whole file that was read by another text, to restore a snapshot.

    Raises `TailwartError` when the policy is managed elsewhere, when the server refuses the text, when the file changed
    meanwhile, or when it reads back differently.
    """
    elsewhere = managed_elsewhere(client, live.text, acknowledged)
    if elsewhere is not None:
        raise elsewhere.refusal()
    verdict = client.validate(text)
    if not verdict:
        raise refused(verdict)
    log(f"snapshot from before the write: {snapshots.save(live.text)}")
    client.write(text, live.etag)
    if _meaning(client.read().text) != _meaning(text):
        raise TailwartError(
            "The policy was written, but reading it back shows something else",
            remedy="another edit may have followed: run tailwart tailnet plan",
        )


def _meaning(text: str) -> object:
    root = Policy(text).document.root
    return None if root is None else value(root)


def unified_diff(old: str, new: str) -> str:
    """The difference of two policy texts as a unified diff; empty for equal texts."""
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), "policy (live)", "policy (planned)", lineterm="", n=2
    )
    return "\n".join(lines)


def refused(verdict: Verdict) -> TailwartError:
    """The error for a text that the server did not accept."""
    details = "; ".join(f"{source}: {problem}" if source else problem for source, problem in verdict.problems)
    return TailwartError(
        "The new policy failed the validation of the server, so nothing was written",
        seen=f"{verdict.message}{': ' if details else ''}{details}",
        expected="a policy that passes its own tests",
        remedy="compare with tailwart tailnet plan --diff; an unmanaged rule or test may contradict the new entries",
    )


def _open_ways(verdict: Verdict) -> frozenset[tuple[str, str]]:
    """The (source, tag:port) of failed deny tests; the source is empty where the server does not name it."""
    said = [*verdict.problems, *(("", line) for line in verdict.message.splitlines())]
    return frozenset((source, found[1]) for source, text in said if (found := _OPEN_WAY.search(text)))


def _is_open(test: PolicyTest, tag: str, port: int, open_ways: frozenset[tuple[str, str]]) -> bool:
    return not open_ways.isdisjoint({(test.source, f"{tag}:{port}"), ("", f"{tag}:{port}")})


def _skipped(test: PolicyTest, tag: str, port: int, by: str) -> str:
    return f"skipped the test that {test.source} cannot reach {tag}:{port}: it can, says {by}"


def _other_installations(policy: Policy, desired: Desired) -> list[str]:
    scopes: dict[str, int] = {}
    for section in (policy.tag_owners, policy.grants, policy.tests):
        for entry in section.entries:
            if entry.mark is not None and entry.mark.scope != desired.scope:
                scopes.setdefault(entry.mark.scope, entry.line)
    return [f"entries of the installation {scope}, from line {line}" for scope, line in scopes.items()]
