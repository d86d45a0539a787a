"""The files of every host and the entries of the policy as the settings render them, without any secret. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from tailwart.edge import plan as edge_plan
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.hosts.files import HostFile
from tailwart.mailbox import follower
from tailwart.mailbox.project import compose_project
from tailwart.tailnet.desired import desired

Texts = Mapping[str, Mapping[str, str]]
"""Host → path → text."""
_HIDDEN = "(secret)\n"


def files(environment: Environment) -> dict[str, dict[str, str]]:
    """Host → path → text; a role whose settings are not complete has none."""
    found: dict[str, dict[str, str]] = {}
    for host, path, text in _all(environment):
        found.setdefault(host, {})[path] = text
    return found


def _all(environment: Environment) -> Iterator[tuple[str, str, str]]:
    if environment.mailbox_ssh:
        with suppress(TailwartError):
            yield from _texts("mailbox", (*compose_project(environment).files, *follower.UNIT.files))
    for edge in environment.edges:
        yield from _texts(edge.name, edge_plan.of(environment, edge).files)
    entries = desired(environment)
    policy = {
        "tagOwners": entries.tag_owners,
        "grants": [grant.as_policy() for grant in entries.grants],
        "tests": [test.as_policy() for test in entries.tests],
    }
    yield "@plane/tailnet", "managed entries of the policy", json.dumps(policy, indent=1) + "\n"


def _texts(host: str, files: Iterable[HostFile]) -> Iterator[tuple[str, str, str]]:
    for file in files:
        yield host, file.path, _HIDDEN if file.secret else file.data.decode(errors="replace")
