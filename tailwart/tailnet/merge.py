"""The managed entries merged into the live text: added, updated in place, removed; every other byte stays.

What is to be done, `tailwart.tailnet.sections` plans; here it is done to the text.

    >>> from tailwart.tailnet.desired import Grant
    >>> grant = Grant("smarthost", ("tag:a",), "tag:b", (587,))
    >>> live = '{\\n  "grants": [], // mine\\n}'
    >>> print(merge(live, Desired("example.org", grants=(grant,))).text)
    {
      "grants": [
        {
          /* tailwart:example.org/smarthost */
          "src": ["tag:a"],
          "dst": ["tag:b"],
          "ip":  ["tcp:587"],
        },
      ], // mine
    }
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tailwart.plan.model import Change
from tailwart.tailnet import splice
from tailwart.tailnet.desired import Desired
from tailwart.tailnet.layout import Text
from tailwart.tailnet.policy import Entry, Mark, Policy, Section
from tailwart.tailnet.sections import SectionPlan, plan_sections
from tailwart.tailnet.splice import Splice


@dataclass(frozen=True, slots=True)
class Merged:
    """The new text and the changes.

    ``satisfied`` are the unmanaged entries that count as desired ones, ``kept`` the managed ones that have to stay,
    and ``unmarked`` those that a removal finds equal to managed ones, and leaves.
    """

    text: str
    changes: tuple[Change, ...]
    satisfied: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    unmarked: tuple[str, ...] = ()


def merge(text: str, desired: Desired) -> Merged:
    """The policy text with the desired entries. Raises `HuJSONError` for malformed text, and as `merge_into` does."""
    return merge_into(Policy(text), desired)


def merge_into(policy: Policy, desired: Desired) -> Merged:
    """The text of a parsed policy with the desired entries. Raises `TailwartError` as `plan_sections` does."""
    live = policy.text
    if policy.document.root is None:
        policy = Policy(_with_root(policy.text))
    plans = plan_sections(policy, desired)
    text = live
    if any(plan.changes for plan in plans):
        # Removals and updates first, then additions on the new text: each step's splices stay independent.
        removals = _removals(policy, plans, desired)
        stripped = Policy(splice.apply(policy.text, removals)) if removals else policy
        text = splice.apply(stripped.text, _additions(stripped, plans, desired.scope))
    return Merged(
        text,
        tuple(change for plan in plans for change in plan.changes),
        tuple(line for plan in plans for line in plan.satisfied),
        tuple(line for plan in plans for line in plan.kept),
        tuple(line for plan in plans for line in plan.unmarked),
    )


def _with_root(text: str) -> str:
    return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{{}}\n"


def _removals(policy: Policy, plans: Sequence[SectionPlan], desired: Desired) -> list[Splice]:
    splices = []
    root = policy.document.root
    whole: list[int] = []
    for plan in plans:
        section, node = plan.section, plan.section.node
        if node is None:
            continue
        emptied = bool(plan.remove) and not plan.add and _only_ours_left(policy, section, len(plan.remove))
        if emptied and section.was_null:
            splices.append(_null_again(policy, section))
        elif emptied and section.managed:
            assert section.index is not None, "a section with a node has an index"
            whole.append(section.index)
        else:
            splices += [splice.replace(policy.document, entry.item, text) for entry, text in plan.replace]
            splices += [_marked_anew(policy, entry, mark) for entry, mark in plan.hand_over]
            if plan.remove:
                keep = {index: _owners_comments(policy, section, index) for index in plan.remove}
                splices += splice.remove(policy.document, node, plan.remove, keep)
            if plan.remove and desired.removing and not _marked_left(section, plan.remove):
                splices += _without_marks(policy, section)
    if whole and root is not None:
        splices += splice.remove(policy.document, root, whole)
    return splices


def _only_ours_left(policy: Policy, section: Section, removed: int) -> bool:
    """Whether all that is left in a section is removed, and no other comment stands in it."""
    if section.node is None or section.index is None or policy.document.root is None:
        return False
    if removed != len(section.node.items):
        return False
    item = policy.document.root.items[section.index]
    comments = policy.document.comments(item.start, item.end)
    return len(comments) == len(section.marks) + sum(entry.mark is not None for entry in section.entries)


def _marked_left(section: Section, removed: Sequence[int]) -> bool:
    """Whether entries with a mark stay in a section: those of another installation, or tags that are still in use."""
    return any(entry.mark is not None and entry.index not in removed for entry in section.entries)


def _null_again(policy: Policy, section: Section) -> Splice:
    (start, _) = _marks_of(policy, section)[0]
    assert section.node is not None, "only a section with entries is emptied"
    return Splice(start, section.node.end, "null")


def _marked_anew(policy: Policy, entry: Entry, mark: Mark) -> Splice:
    assert entry.item.key is not None, "only the owners of a tag are handed over"
    found = policy.document.comments(entry.item.key.end, entry.item.end)
    start, comment = next(each for each in found if each[1] == str(entry.mark))
    return Splice(start, start + len(comment), str(mark))


def _without_marks(policy: Policy, section: Section) -> list[Splice]:
    """The marks of a section that stays, each with the blank behind it, taken out."""
    text = policy.text
    return [Splice(start, end + (text[end] == " "), "") for start, end in _marks_of(policy, section)]


def _marks_of(policy: Policy, section: Section) -> list[tuple[int, int]]:
    assert section.index is not None, "a section with marks has an index"
    assert policy.document.root is not None, "a section has a root around it"
    item = policy.document.root.items[section.index]
    assert item.key is not None, "sections are members"
    found = policy.document.comments(item.key.end, item.node.start)
    marks = [str(mark) for mark in section.marks]
    return [(start, start + len(comment)) for start, comment in found if comment in marks]


def _owners_comments(policy: Policy, section: Section, index: int) -> str:
    """The comments between the key of an entry and its value that are not marks."""
    entry = section.entries[index]
    if entry.item.key is None:
        return ""
    comments = (comment for _, comment in policy.document.comments(entry.item.key.end, entry.item.node.start))
    kept = [comment.rstrip("\r") for comment in comments if comment != str(entry.mark)]
    line_comments = [comment for comment in kept if comment.startswith("//")]
    return " ".join([*(comment for comment in kept if comment not in line_comments), *line_comments])


def _additions(policy: Policy, plans: Sequence[SectionPlan], scope: str) -> list[Splice]:
    document = policy.document
    assert document.root is not None, "a root was added to an empty file"
    sections = {section.name: section for section in (policy.tag_owners, policy.grants, policy.tests)}
    splices, members = [], []
    for plan in plans:
        if not plan.add:
            continue
        section = sections[plan.section.name]
        if section.node is not None:
            splices += splice.insert(document, section.node, plan.add)
        elif section.null is not None:
            null = section.null
            body = f"{Mark(scope).of_null} {_body(policy, section.name, plan.add)}"
            splices.append(Splice(null.start, null.end, body))
        else:
            body = _body(policy, section.name, plan.add)
            members.append(Text(f'"{section.name}": {Mark(scope)} {body}'))
    return splices + splice.insert(document, document.root, members)


def _body(policy: Policy, name: str, items: Sequence[Text]) -> str:
    """A new section's value, laid out as the file is."""
    document = policy.document
    opening, closing = "{}" if name == "tagOwners" else "[]"
    if splice.on_one_line(document):
        return opening + ", ".join(item.inline for item in items) + closing
    assert document.root is not None, "a root was added to an empty file"
    indent, unit = splice.item_indent(document, document.root), splice.indent_unit(document)
    inner = indent + unit
    lines = [f"{inner}{item.at(document.newline, inner, unit)}," for item in items]
    return document.newline.join([opening, *lines, indent + closing])
