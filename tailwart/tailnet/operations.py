"""The tailnet policy as a pyinfra operation, run on the inventory host `@plane/tailnet`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

from pyinfra.api.command import PyinfraCommand
from pyinfra.api.host import Host

from tailwart.environment import Environment
from tailwart.operations.guard import operation
from tailwart.operations.plane import Prepared, expect_plan, plan_and_apply
from tailwart.tailnet import credentials
from tailwart.tailnet.policy import Policy
from tailwart.tailnet.session import push


def expect(host: Host, environment: Environment) -> None:
    """`policy` will ask the API."""
    expect_plan(host, lambda: _prepare(environment))


@operation()
def policy(environment: Environment) -> Generator[PyinfraCommand, None, None]:
    """Tag owners, grants and tests in the live policy file; whatever else it holds stays.

    Without a change it makes one request for the file and one per key. A refusal fails the host, with nothing written.
    """
    yield from plan_and_apply(lambda: _prepare(environment))


def _prepare(environment: Environment) -> Prepared:
    pushed = push(environment)
    planned = pushed.prepare()

    def apply(log: Callable[[str], None]) -> None:
        pushed.apply(planned, log)

    owners = {entry.key: entry.value for entry in Policy(planned.live.text).tag_owners.entries}
    owners |= pushed.desired.tag_owners
    keys = credentials.check(pushed.client, environment, owners)
    plan = replace(planned.plan, warnings=(*planned.plan.warnings, *keys))
    return Prepared(plan, apply, diff=planned.diff, refusal=planned.refusal)
