"""Who else uses a tag: the server refuses a policy whose rules name a tag that has no owners."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tailwart.tailnet.hujson import Node
from tailwart.tailnet.policy import Policy


def uses(policy: Policy, tag: str, leaving: Collection[tuple[int, int]]) -> tuple[int, ...]:
    """The lines that name a tag: in rules, tests, as the owner of another tag, wherever it stands.

    ``leaving`` are the spans (start, end) that are about to go, which do not count; nor does the tag's own definition.
    """
    if policy.document.root is None:
        return ()
    own = [entry.item.key for entry in policy.tag_owners.entries if entry.item.key is not None]
    nodes = (
        node
        for node in _strings(policy.document.root)
        if node not in own and (node.scalar == tag or node.scalar.startswith(f"{tag}:"))
    )
    lines = (
        policy.document.line(node.start)
        for node in nodes
        if not any(start <= node.start < end for start, end in leaving)
    )
    return tuple(dict.fromkeys(lines))


def _strings(node: Node) -> Iterator[Node]:
    if node.kind == "string":
        yield node
    for item in node.items:
        if item.key is not None:
            yield item.key
        yield from _strings(item.node)
