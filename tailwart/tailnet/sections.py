"""What a merge does to each section: which entries are added, updated, removed, and which count as they are.

Meaning decides, not spelling: an entry that already equals a desired one stays as it is, whoever wrote it and in
whatever order. A merge that would change an unmanaged entry is refused, with the line. A tag that somebody else still
uses keeps its owners.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tailwart.errors import TailwartError
from tailwart.plan.model import Action, Change, FieldChange
from tailwart.tailnet import layout
from tailwart.tailnet.desired import Desired
from tailwart.tailnet.layout import Text
from tailwart.tailnet.policy import Entry, Mark, Policy, PolicyRefused, Section
from tailwart.tailnet.removal import looks_managed
from tailwart.tailnet.usage import uses


@dataclass(slots=True)
class SectionPlan:
    """The plan of one section.

    ``satisfied`` names unmanaged entries that count as desired ones, ``kept`` managed ones that have to stay although
    nothing desires them, and ``unmarked`` those that a removal finds equal to managed ones, and leaves. Entries to
    ``hand_over`` get another mark.
    """

    section: Section
    changes: list[Change] = field(default_factory=list)
    satisfied: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    unmarked: list[str] = field(default_factory=list)
    remove: list[int] = field(default_factory=list)
    replace: list[tuple[Entry, Text]] = field(default_factory=list)
    hand_over: list[tuple[Entry, Mark]] = field(default_factory=list)
    add: list[Text] = field(default_factory=list)

    def leaving(self) -> Iterator[tuple[int, int]]:
        """The spans of the text that the plan removes or replaces."""
        for index in self.remove:
            item = self.section.entries[index].item
            yield item.start, item.end
        for entry, _ in self.replace:
            yield entry.item.node.start, entry.item.end


@dataclass(frozen=True, slots=True)
class _DesiredEntry:
    """One desired entry: the name in its mark, its content, and why it is there."""

    name: str
    content: Any
    why: str = ""


def plan_sections(policy: Policy, desired: Desired) -> tuple[SectionPlan, SectionPlan, SectionPlan]:
    """The plans of `tagOwners`, `grants` and `tests`.

    Raises `TailwartError` for a desired tag that an unmanaged entry defines with other owners, and for a copied mark.
    """
    grants = [_DesiredEntry(grant.name, grant.as_policy(), grant.why) for grant in desired.grants]
    tests = [_DesiredEntry(test.name, test.as_policy()) for test in desired.tests]
    planned_grants = _listed(policy.grants, "grant", grants, desired)
    planned_tests = _listed(policy.tests, "policy test", tests, desired)
    owners = SectionPlan(policy.tag_owners)
    doomed = _owned(owners, policy, desired)
    _give_up(owners, policy, doomed, (planned_grants, planned_tests), desired)
    return owners, planned_grants, planned_tests


def _owned(plan: SectionPlan, policy: Policy, desired: Desired) -> list[Entry]:
    """Plans the desired tags, and returns the entries that nothing desires any more."""
    mark = Mark(desired.scope)
    current: dict[str, Entry] = {}
    doomed = []
    for entry in policy.tag_owners.entries:
        wanted = entry.key in desired.tag_owners
        if wanted and entry.key in current:
            raise _refused(entry, "is defined a second time", f"line {current[entry.key].line}")
        if wanted:
            current[entry.key] = entry
        if entry.mark == mark and (desired.removing or not wanted):
            doomed.append(entry)
    if not desired.removing:
        for tag, owners in desired.tag_owners.items():
            _plan_tag(plan, desired, tag, list(owners), current.get(tag))
        return doomed
    for tag, owners in desired.tag_owners.items():
        found = current.get(tag)
        if found is None or found.mark is not None:
            continue
        if tag in (desired.mailbox, desired.edge) or same(found.value or [], list(owners)):
            doomed += _unmarked(plan, found, f"the owners of {tag}", desired)
    return doomed


def _plan_tag(plan: SectionPlan, desired: Desired, tag: str, owners: list[str], found: Entry | None) -> None:
    mark = Mark(desired.scope)
    if found is None:
        plan.add.append(layout.owners(owners, str(mark)).behind(f"{json.dumps(tag)}: "))
        plan.changes.append(Change(Action.CREATE, "tag owner", tag, (FieldChange("owners", None, owners),)))
        return
    held = found.value or []
    if found.mark == mark:
        if not same(held, owners):
            # A mark between key and bracket, as earlier versions wrote it, stays there.
            inside = found.mark_start >= found.item.node.start
            plan.replace.append((found, layout.owners(owners, str(mark)) if inside else Text(_rendered(owners))))
            changed = FieldChange("owners", held, owners)
            plan.changes.append(Change(Action.UPDATE, "tag owner", tag, (changed,)))
    elif not desired.owns(tag):
        plan.satisfied.append(f"line {found.line}: {tag} is defined there")
    elif isinstance(held, list) and set(owners) <= {owner for owner in held if isinstance(owner, str)}:
        plan.satisfied.append(f"line {found.line}: {tag} has these owners already")
    else:
        raise _refused(found, "belongs to other owners", _rendered(held), _rendered(owners))


def _give_up(
    plan: SectionPlan, policy: Policy, doomed: list[Entry], others: Sequence[SectionPlan], desired: Desired
) -> None:
    """Plan the removal of tags that nobody else uses. One that stays may itself use another."""
    spans = [span for other in others for span in other.leaving()] + list(plan.leaving())
    while True:
        leaving = spans + [(entry.item.start, entry.item.end) for entry in doomed]
        used = {entry.index: lines for entry in doomed if (lines := uses(policy, entry.key, leaving))}
        if not used:
            break
        for entry in doomed:
            if entry.index in used:
                _keep(plan, policy, entry, used[entry.index], desired)
        doomed = [entry for entry in doomed if entry.index not in used]
    for entry in doomed:
        plan.remove.append(entry.index)
        gone = FieldChange("owners", entry.value, None)
        plan.changes.append(Change(Action.DELETE, "tag owner", entry.key, (gone,)))


def _keep(plan: SectionPlan, policy: Policy, entry: Entry, lines: Sequence[int], desired: Desired) -> None:
    where = ", ".join(map(str, lines[:5]))
    plan.kept.append(f"line {entry.line}: the owners of {entry.key} stay, line {where} still uses the tag")
    others = (
        user.mark.scope
        for section in (policy.grants, policy.tests)
        for user in section.entries
        if user.mark is not None and user.mark.scope != desired.scope
        if any(user.line <= line <= policy.document.line(user.item.end) for line in lines)
    )
    heir = next(others, None)
    if desired.removing and heir is not None and entry.mark is not None:
        # So that it goes with that installation one day.
        plan.hand_over.append((entry, Mark(heir)))
        mark = FieldChange("installation", desired.scope, heir)
        plan.changes.append(Change(Action.UPDATE, "tag owner", entry.key, (mark,)))


def _refused(entry: Entry, problem: str, seen: str, expected: str = "one definition") -> TailwartError:
    return PolicyRefused(
        entry.line,
        f"Line {entry.line} of the policy: the tag {entry.key} {problem}, so nothing was written",
        seen=seen,
        expected=expected,
        remedy="choose another tag (TAG_… in .env), or make TAG_OWNERS and that line agree",
    )


def _listed(section: Section, kind: str, entries: list[_DesiredEntry], desired: Desired) -> SectionPlan:
    plan = SectionPlan(section)
    by_name: dict[str, list[Entry]] = {}
    for entry in section.entries:
        if entry.mark is not None and entry.mark.scope == desired.scope:
            by_name.setdefault(entry.mark.name, []).append(entry)
    names = set() if desired.removing else {one.name for one in entries}
    for name, found in by_name.items():
        if len(found) > 1 and any(not same(entry.value, found[0].value) for entry in found):
            raise PolicyRefused(
                found[1].line,
                f"Different entries of the policy bear the mark {Mark(desired.scope, name)}, so nothing was written",
                seen=f"lines {', '.join(str(entry.line) for entry in found)}",
                expected="the mark on one entry only",
                remedy="remove the mark from the copy",
            )
        if name not in names:
            for entry in found:
                _remove(plan, kind, name, entry)
    for one in entries:
        if not desired.removing:
            _plan_entry(plan, kind, one, by_name.get(one.name, []), desired.scope)
    if desired.removing:
        for entry in section.entries:
            equal = next((one.name for one in entries if same(entry.value, one.content)), "")
            if entry.mark is None and (equal or looks_managed(entry, desired)):
                for doomed in _unmarked(plan, entry, equal or f"{kind} between tags of this installation", desired):
                    _remove(plan, kind, equal or "without a mark", doomed)
    return plan


def _remove(plan: SectionPlan, kind: str, name: str, entry: Entry) -> None:
    plan.remove.append(entry.index)
    plan.changes.append(Change(Action.DELETE, kind, name, _fields(entry.value, None)))


def _unmarked(plan: SectionPlan, entry: Entry, name: str, desired: Desired) -> list[Entry]:
    """The entry, when a removal shall take what has lost its mark too."""
    if desired.unmarked:
        return [entry]
    plan.unmarked.append(f"line {entry.line}: {name}")
    return []


def _plan_entry(plan: SectionPlan, kind: str, desired: _DesiredEntry, found: list[Entry], scope: str) -> None:
    rendered = layout.entry(desired.content, str(Mark(scope, desired.name)))
    if found:
        if not same(found[0].value, desired.content):
            plan.replace += [(entry, rendered) for entry in found]
            fields = _fields(found[0].value, desired.content)
            plan.changes.append(Change(Action.UPDATE, kind, desired.name, fields, desired.why))
        return
    for entry in plan.section.entries:
        if entry.mark is None and same(entry.value, desired.content):
            plan.satisfied.append(f"line {entry.line}: already equals {desired.name}")
            return
    plan.add.append(rendered)
    plan.changes.append(Change(Action.CREATE, kind, desired.name, _fields(None, desired.content), desired.why))


def _fields(old: Any, new: Any) -> tuple[FieldChange, ...]:
    before, after = (content if isinstance(content, dict) else {} for content in (old, new))
    keys = dict.fromkeys([*after, *before])
    return tuple(
        FieldChange(key, before.get(key), after.get(key)) for key in keys if not same(before.get(key), after.get(key))
    )


def same(one: Any, other: Any) -> bool:
    """Equality by meaning: lists are sets, and names of fields match in any case."""
    if isinstance(one, list) and isinstance(other, list):
        return sorted(map(_canonical, one)) == sorted(map(_canonical, other))
    if isinstance(one, dict) and isinstance(other, dict):
        left, right = ({key.lower(): content for key, content in side.items()} for side in (one, other))
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(one == other)


def _canonical(content: Any) -> str:
    return json.dumps(content, sort_keys=True)


def _rendered(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False)
