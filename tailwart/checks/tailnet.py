"""The tailnet's policy and the keys that join nodes, as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tailwart.checks.model import Book, Found, NotApplicable
from tailwart.environment import Environment
from tailwart.tailnet import credentials
from tailwart.tailnet.client import Verdict
from tailwart.tailnet.policy import Policy
from tailwart.tailnet.push import PolicyPlan
from tailwart.tailnet.session import push


@dataclass(frozen=True)
class PolicyFacts:
    """The live policy: what a push would change, what its own tests say, and the problems of the keys.

    ``devices`` are the API's own, None where the credential may not see them; ``lasting`` are the tags of nodes that
    must stay in the tailnet while they are away.
    """

    planned: PolicyPlan
    verdict: Verdict
    keys: Sequence[str]
    devices: Sequence[dict[str, Any]] | None = None
    lasting: frozenset[str] = frozenset()


def gather(environment: Environment) -> PolicyFacts:
    """Ask the API. Raises `TailwartError` when it does not answer or refuses the credential."""
    pushed = push(environment)
    live = pushed.client.read().text
    owners: dict[str, Any] = {entry.key: entry.value for entry in Policy(live).tag_owners.entries}
    return PolicyFacts(
        pushed.prepare(),
        pushed.client.validate(live),
        credentials.check(pushed.client, environment, owners),
        pushed.client.devices(),
        frozenset({environment.tag_edge} | (set() if environment.ts_ephemeral else {environment.tag_stalwart})),
    )


TAILNET: Book[PolicyFacts] = Book("tailnet")
_DEPLOY = "pyinfra inventory.py deploy.py --limit tailnet"


@TAILNET.check(
    "deployed",
    "The managed grants, owners and tests are in the live policy",
    cause="Something was changed in .env and not deployed, or somebody edited the policy.",
    remedy=_DEPLOY,
)
def _(facts: PolicyFacts) -> Found:
    for change in facts.planned.plan.changes:
        yield f"{change.kind} {change.name} ({change.why})" if change.why else f"{change.kind} {change.name}"


@TAILNET.check(
    "own-tests",
    "The live policy passes its own tests",
    cause="An edit in the admin console contradicts a test that is in the policy.",
    remedy="tailwart tailnet test",
)
def _(facts: PolicyFacts) -> Found:
    if not facts.verdict:
        yield f"{facts.verdict.message}: {facts.verdict.problems}"


@TAILNET.check(
    "wide-rules",
    "Every rule that opens the mail system widely is acknowledged",
    cause="Grants only add: one rule for everybody makes all narrow ones void.",
    remedy="narrow the rule, or name it in TS_ACKNOWLEDGED",
)
def _(facts: PolicyFacts) -> Found:
    yield from (str(rule) for rule in facts.planned.unacknowledged)


@TAILNET.check(
    "keys",
    "The keys are valid and hand out their tags",
    cause="A key expired or was revoked: no new node can join, and an ephemeral one cannot come back.",
    remedy="make a new key in the admin console and put it into .env",
)
def _(facts: PolicyFacts) -> Found:
    yield from facts.keys


@TAILNET.check(
    "lasting-nodes",
    "The tailnet keeps the mailbox and the edges while they are away",
    cause="The tailnet forgets an ephemeral node that was away for long, and it comes back only with a new key.",
    remedy="let the node join again: docs/hosts.md, Keys of the tailnet",
)
def _(facts: PolicyFacts) -> Found:
    if facts.devices is None:
        raise NotApplicable("the credential may not see devices (scope devices:core:read, which is optional)")
    for device in facts.devices:
        tags = facts.lasting.intersection(device.get("tags") or ())
        if tags and device.get("isEphemeral") is True:
            yield f"{device.get('name') or device.get('hostname')} ({', '.join(sorted(tags))}) is ephemeral"
