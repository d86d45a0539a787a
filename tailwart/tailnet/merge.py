"""The managed entries merged into the live text: added, updated in place, removed; every other byte stays.

Meaning decides, not spelling: an entry that already equals a desired one stays as it is, whoever wrote it and in
whatever order. A merge that would change an unmanaged entry is refused, with the line.

    >>> from tailwart.tailnet.desired import Grant
    >>> grant = Grant("smarthost", ("tag:a",), "tag:b", (587,))
    >>> live = '{\\n  "grants": [], // mine\\n}'
    >>> print(merge(live, Desired("example.org", grants=(grant,))).text)
    {
      "grants": [
        {/* tailwart:example.org/smarthost */ "src": ["tag:a"], "dst": ["tag:b"], "ip": ["tcp:587"]},
      ], // mine
    }
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tailwart.errors import TailwartError
from tailwart.plan.model import Action, Change, FieldChange
from tailwart.tailnet import splice
from tailwart.tailnet.desired import Desired
from tailwart.tailnet.policy import Entry, Mark, Policy, Section
from tailwart.tailnet.splice import Splice


@dataclass(frozen=True, slots=True)
class Merged:
    """The new text, the changes, and the unmanaged entries that already equal desired ones (``satisfied``)."""

    text: str
    changes: tuple[Change, ...]
    satisfied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _DesiredEntry:
    """One desired entry: the name in its mark, its content, and why it is there."""

    name: str
    content: Any
    why: str = ""


def merge(text: str, desired: Desired) -> Merged:
    """The policy text with the desired entries. Raises `HuJSONError` for malformed text, and as `merge_into` does."""
    return merge_into(Policy(text), desired)


def merge_into(policy: Policy, desired: Desired) -> Merged:
    """The text of a parsed policy with the desired entries.

    Raises `TailwartError` for a desired tag that an unmanaged entry defines with other owners, and for a copied mark.
    """
    live = policy.text
    if policy.document.root is None:
        policy = Policy(_with_root(policy.text))
    grants = [_DesiredEntry(grant.name, grant.as_policy(), grant.why) for grant in desired.grants]
    tests = [_DesiredEntry(test.name, test.as_policy()) for test in desired.tests]
    plans = [
        _tag_owners(policy, desired),
        _listed(policy.grants, "grant", grants, desired.scope),
        _listed(policy.tests, "policy test", tests, desired.scope),
    ]
    changes = tuple(change for plan in plans for change in plan.changes)
    satisfied = tuple(line for plan in plans for line in plan.satisfied)
    if not changes:
        return Merged(live, (), satisfied)
    # Removals and updates first, then additions on the new text: each step's splices stay independent.
    removals = _removals(policy, plans)
    stripped = Policy(splice.apply(policy.text, removals)) if removals else policy
    return Merged(splice.apply(stripped.text, _additions(stripped, plans, desired.scope)), changes, satisfied)


def _with_root(text: str) -> str:
    return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{{}}\n"


@dataclass(slots=True)
class _SectionPlan:
    section: Section
    changes: list[Change]
    satisfied: list[str]
    remove: list[int]
    replace: list[tuple[Entry, str]]
    add: list[str]


def _tag_owners(policy: Policy, desired: Desired) -> _SectionPlan:
    plan = _SectionPlan(policy.tag_owners, [], [], [], [], [])
    mark = Mark(desired.scope)
    current: dict[str, Entry] = {}
    for entry in policy.tag_owners.entries:
        if entry.key in desired.tag_owners:
            if entry.key in current:
                raise _refused(entry, entry.key, "is defined a second time", f"line {current[entry.key].line}")
            current[entry.key] = entry
        elif entry.mark == mark:
            plan.remove.append(entry.index)
            plan.changes.append(
                Change(Action.DELETE, "tag owner", entry.key, (FieldChange("owners", entry.value, None),))
            )
    for tag, owners in desired.tag_owners.items():
        found = current.get(tag)
        if found is None:
            plan.add.append(f"{json.dumps(tag)}: {mark} {_rendered(list(owners))}")
            plan.changes.append(Change(Action.CREATE, "tag owner", tag, (FieldChange("owners", None, list(owners)),)))
        elif not _same(found.value, list(owners)):
            if found.mark != mark:
                raise _refused(found, tag, "belongs to other owners", _rendered(found.value), _rendered(list(owners)))
            plan.replace.append((found, _rendered(list(owners))))
            changed = FieldChange("owners", found.value, list(owners))
            plan.changes.append(Change(Action.UPDATE, "tag owner", tag, (changed,)))
        elif found.mark != mark:
            plan.satisfied.append(f"line {found.line}: {tag} has these owners already")
    return plan


def _refused(entry: Entry, tag: str, problem: str, seen: str, expected: str = "one definition") -> TailwartError:
    return TailwartError(
        f"Line {entry.line} of the policy: the tag {tag} {problem}, so nothing was written",
        seen=seen,
        expected=expected,
        remedy="choose another tag (TAG_… in .env), or make TAG_OWNERS and that line agree",
    )


def _listed(section: Section, kind: str, desired: list[_DesiredEntry], scope: str) -> _SectionPlan:
    plan = _SectionPlan(section, [], [], [], [], [])
    by_name: dict[str, list[Entry]] = {}
    for entry in section.entries:
        if entry.mark is not None and entry.mark.scope == scope:
            by_name.setdefault(entry.mark.name, []).append(entry)
    names = {one.name for one in desired}
    for name, entries in by_name.items():
        if len(entries) > 1 and any(not _same(entry.value, entries[0].value) for entry in entries):
            raise TailwartError(
                f"Different entries of the policy bear the mark {Mark(scope, name)}, so nothing was written",
                seen=f"lines {', '.join(str(entry.line) for entry in entries)}",
                expected="the mark on one entry only",
                remedy="remove the mark from the copy",
            )
        if name not in names:
            for entry in entries:
                plan.remove.append(entry.index)
                plan.changes.append(Change(Action.DELETE, kind, name, _fields(entry.value, None)))
    for one in desired:
        _plan_entry(plan, kind, one, by_name.get(one.name, []), scope)
    return plan


def _plan_entry(plan: _SectionPlan, kind: str, desired: _DesiredEntry, found: list[Entry], scope: str) -> None:
    rendered = _marked(desired.content, Mark(scope, desired.name))
    if found:
        if not _same(found[0].value, desired.content):
            plan.replace += [(entry, rendered) for entry in found]
            fields = _fields(found[0].value, desired.content)
            plan.changes.append(Change(Action.UPDATE, kind, desired.name, fields, desired.why))
        return
    for entry in plan.section.entries:
        if entry.mark is None and _same(entry.value, desired.content):
            plan.satisfied.append(f"line {entry.line}: already equals {desired.name}")
            return
    plan.add.append(rendered)
    plan.changes.append(Change(Action.CREATE, kind, desired.name, _fields(None, desired.content), desired.why))


def _fields(old: Any, new: Any) -> tuple[FieldChange, ...]:
    before, after = (content if isinstance(content, dict) else {} for content in (old, new))
    keys = dict.fromkeys([*after, *before])
    return tuple(
        FieldChange(key, before.get(key), after.get(key)) for key in keys if not _same(before.get(key), after.get(key))
    )


def _same(one: Any, other: Any) -> bool:
    """Equality by meaning: lists are sets, and names of fields match in any case."""
    if isinstance(one, list) and isinstance(other, list):
        return sorted(map(_canonical, one)) == sorted(map(_canonical, other))
    if isinstance(one, dict) and isinstance(other, dict):
        left, right = ({key.lower(): content for key, content in side.items()} for side in (one, other))
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return bool(one == other)


def _canonical(content: Any) -> str:
    return json.dumps(content, sort_keys=True)


def _rendered(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False)


def _marked(content: dict[str, Any], mark: Mark) -> str:
    return "{" + str(mark) + " " + _rendered(content).removeprefix("{")


def _removals(policy: Policy, plans: Sequence[_SectionPlan]) -> list[Splice]:
    splices = []
    root = policy.document.root
    whole: list[int] = []
    for plan in plans:
        node = plan.section.node
        if node is None:
            continue
        if plan.remove and not plan.add and _created_by_merge(policy, plan.section, len(plan.remove)):
            assert plan.section.index is not None, "a section with a node has an index"
            whole.append(plan.section.index)
            continue
        for entry, text in plan.replace:
            start = entry.item.node.start
            splices.append(Splice(start, entry.item.end, text))
        if plan.remove:
            splices += splice.remove(policy.document, node, plan.remove)
    if whole and root is not None:
        splices += splice.remove(policy.document, root, whole)
    return splices


def _created_by_merge(policy: Policy, section: Section, removed: int) -> bool:
    """Whether a merge created this section and all that is left in it is removed: no other entry, no other comment."""
    node = section.node
    if node is None or not section.managed or removed != len(node.items):
        return False
    comments = policy.document.comments(node.start, node.end)
    return len(comments) == sum(entry.mark is not None for entry in section.entries)


def _additions(policy: Policy, plans: Sequence[_SectionPlan], scope: str) -> list[Splice]:
    document = policy.document
    assert document.root is not None, "a root was added to an empty file"
    sections = {section.name: section for section in (policy.tag_owners, policy.grants, policy.tests)}
    splices, members = [], []
    indent = splice.item_indent(document, document.root)
    inner = document.newline + indent + splice.indent_unit(document)
    for plan in plans:
        if not plan.add:
            continue
        section = sections[plan.section.name]
        if section.node is not None:
            splices += splice.insert(document, section.node, plan.add)
        else:
            opening, closing = "{}" if section.name == "tagOwners" else "[]"
            items = "".join(f"{inner}{item}," for item in plan.add)
            members.append(f'"{section.name}": {Mark(scope)} {opening}{items}{document.newline}{indent}{closing}')
    return splices + splice.insert(document, document.root, members)
