"""Before entries are taken out: what has lost its mark, and what the file means afterwards.

A tool that strips comments strips the marks too. What then equals a managed entry, or is a rule between tags of this
installation that names its mailbox or its edges, is never passed over in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tailwart.errors import TailwartError
from tailwart.tailnet.desired import Desired
from tailwart.tailnet.policy import Entry, Policy

INSIST = "tailwart tailnet apply --remove --unmarked"


def looks_managed(entry: Entry, desired: Desired) -> bool:
    """Whether an entry of `grants` or `tests` names only tags of the installation, and mailbox or edge among them."""
    if not isinstance(entry.value, Mapping):
        return False
    fields = {str(key).lower(): content for key, content in entry.value.items()}
    named = [
        *_tags(fields.get("src")),
        *_tags(fields.get("dst")),
        *_tags(fields.get("accept")),
        *_tags(fields.get("deny")),
    ]
    known = set(desired.tag_owners)
    return bool(named) and set(named) <= known and not {desired.mailbox, desired.edge}.isdisjoint(named)


def _tags(content: Any) -> Iterator[str]:
    for text in content if isinstance(content, list) else [content]:
        if isinstance(text, str):
            # In tests, `tag:x:25`.
            yield ":".join(text.split(":")[:2])


def nothing_marked(unmarked: tuple[str, ...]) -> TailwartError:
    """The refusal for a removal that finds no marks, but entries that may have borne one."""
    return TailwartError(
        "No entry of the policy bears a mark of this installation, so nothing was removed; some look like its own",
        seen="\n".join(unmarked),
        expected="entries with their marks; a tool that strips comments has taken them",
        remedy=f"{INSIST}, when these are yours to remove; or remove them in the admin console",
    )


def consequences(before: Policy, after: Policy) -> Iterator[str]:
    """What a file means after entries were taken out, where that is more than their absence."""
    if after.allows_all:
        if not before.allows_all:
            yield "with the last rules the file has neither acls nor grants, which allows everything to everybody"
        return
    if not (after.acls.entries or after.grants.entries) and (before.acls.entries or before.grants.entries):
        yield "the file has no rule left but an empty list, which denies everything to everybody"
