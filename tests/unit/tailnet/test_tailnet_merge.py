"""The merge: unmanaged content keeps every byte, a second merge changes nothing, a removal restores the text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from tailwart.errors import TailwartError
from tailwart.plan.model import Action
from tailwart.tailnet.hujson import Document, value
from tailwart.tailnet.merge import merge
from tailwart.tailnet.policy import Policy
from tests.unit.tailnet.policies import DEFAULT_POLICY, DESIRED, NOTHING, policies, without

OTHER = replace(DESIRED, scope="example.net")


@given(policies())
def test_removing_what_was_merged_restores_the_text(text: str) -> None:
    merged = merge(text, DESIRED)
    assert merged.changes
    assert merge(merged.text, NOTHING).text == text


@given(policies())
def test_a_second_merge_changes_nothing(text: str) -> None:
    once = merge(text, DESIRED).text
    again = merge(once, DESIRED)
    assert (again.text, again.changes) == (once, ())


@given(policies())
def test_only_insertions_are_made(text: str) -> None:
    """Every character of the unmanaged text is still there, in order: nothing is replaced or moved."""
    rest = iter(merge(text, DESIRED).text)
    assert all(character in rest for character in text)


@given(policies())
def test_unmanaged_values_are_untouched(text: str) -> None:
    before, after = (_unmanaged(each) for each in (text, merge(text, DESIRED).text))
    assert after == before


@given(policies())
def test_unmanaged_comments_are_untouched(text: str) -> None:
    merged = merge(text, DESIRED).text
    documents = Document(text), Document(merged)
    before, after = ([comment for _, comment in doc.comments(0, len(doc.text))] for doc in documents)
    assert [comment for comment in after if "tailwart:example.org" not in comment] == before


@given(policies())
def test_two_installations_do_not_touch_each_other(text: str) -> None:
    first = merge(text, DESIRED).text
    both = merge(first, replace(OTHER, tag_owners={"tag:second": ("group:x",)})).text
    assert merge(both, DESIRED).changes == ()
    assert merge(both, replace(NOTHING, scope="example.net")).text == first


def test_managed_entries_mean_what_was_desired() -> None:
    policy = value_of(merge(DEFAULT_POLICY, DESIRED).text)
    assert policy["tagOwners"]["tag:mail"] == ["autogroup:admin"]
    assert {"src": ["tag:stalwart"], "dst": ["tag:mail"], "ip": ["tcp:587"]} in policy["grants"]
    assert {"src": ["*"], "dst": ["*"], "ip": ["*"]} in policy["grants"]
    assert policy["tests"][0]["accept"] == ["tag:stalwart:25"]


@pytest.mark.parametrize("text", ["", "\n", "// only a comment\n", "{}", "{ }\n", "// a\n{\n}\n"])
def test_an_empty_policy_gets_all_sections(text: str) -> None:
    policy = value_of(merge(text, DESIRED).text)
    assert set(policy) == {"tagOwners", "grants", "tests"}


def test_line_ends_of_the_file_are_used() -> None:
    merged = merge(DEFAULT_POLICY.replace("\n", "\r\n"), DESIRED).text
    assert re.search(r"(?<!\r)\n", merged) is None


def test_a_changed_entry_is_updated_where_its_owner_moved_it() -> None:
    mark = "/* tailwart:example.org/mailbox-to-smarthost */"
    entry = f'{{{mark} "src": ["tag:stalwart"], "dst": ["tag:mail"], "ip": ["tcp:25"]}}'
    text = f'{{"grants": [\n  // mine\n  {entry},\n  {{"src": ["a@b.c"], "dst": ["tag:x"], "ip": ["*"]}},\n]}}'
    merged = merge(text, DESIRED)
    update = next(change for change in merged.changes if change.action is Action.UPDATE)
    assert (update.name, update.fields[0].old, update.fields[0].new) == (
        "mailbox-to-smarthost",
        ["tcp:25"],
        ["tcp:587"],
    )
    before, after = text.split(entry)
    assert merged.text.startswith(before)
    assert after.removesuffix("]}") in merged.text
    assert value_of(merged.text)["grants"][0]["ip"] == ["tcp:587"]


def test_a_grant_removed_by_hand_is_drift_with_its_lesson() -> None:
    text = merge("{}", DESIRED).text
    (change,) = merge(without(text, "mailbox-to-smarthost"), DESIRED).changes
    assert (change.action, change.name, change.why) == (Action.CREATE, "mailbox-to-smarthost", "lesson 11")


def test_an_entry_no_longer_desired_is_removed_and_the_rest_stays() -> None:
    text = merge(DEFAULT_POLICY, DESIRED).text
    fewer = replace(DESIRED, grants=DESIRED.grants[:1])
    merged = merge(text, fewer)
    assert [(change.action, change.name) for change in merged.changes] == [(Action.DELETE, "mailbox-to-smarthost")]
    assert merged.text == merge(DEFAULT_POLICY, fewer).text


def test_entries_that_mean_the_same_count_whoever_wrote_them() -> None:
    """As after the visual editor of the admin console, which keeps no comments."""
    stripped = json.dumps(value_of(merge("{}", DESIRED).text))
    merged = merge(stripped, DESIRED)
    assert (merged.changes, merged.text) == ((), stripped)
    assert len(merged.satisfied) == 7


def test_order_of_ports_and_case_of_names_do_not_matter() -> None:
    text = '{"Grants": [{"Src": ["tag:stalwart"], "DST": ["tag:mail"], "IP": ["tcp:587"]}]}'
    names = [change.name for change in merge(text, DESIRED).changes if change.kind == "grant"]
    assert names == ["edge-to-mailbox"]


def test_sections_are_found_in_any_case() -> None:
    merged = merge('{"TagOwners": {"tag:x": []}, "ACLs": [], "Tests": []}', DESIRED).text
    assert set(value_of(merged)) == {"TagOwners", "ACLs", "Tests", "grants"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{\n"tagOwners": {"tag:a": [],\n "tag:stalwart": ["group:ops"]}}', "Line 3"),
        ('{\n"tagOwners": {"tag:mail": ["autogroup:admin"],\n "tag:mail": []}}', "Line 3"),
        ('{\n\n"grants": {}}', "Line 3"),
        ('{"grants": [],\n"Grants": []}', "twice: lines 1 and 2"),
        ("[]", "Line 1"),
    ],
)
def test_what_cannot_be_merged_is_refused_with_its_line(text: str, expected: str) -> None:
    with pytest.raises(TailwartError, match=expected):
        merge(text, DESIRED)


def test_a_copied_mark_with_another_content_is_refused() -> None:
    mark = "/* tailwart:example.org/edge-to-mailbox */"
    text = f'{{"grants": [{{{mark} "src": ["a"], "dst": ["b"]}},\n{{{mark} "src": ["mine"], "dst": ["b"]}}]}}'
    with pytest.raises(TailwartError, match="lines 1, 2"):
        merge(text, DESIRED)


def value_of(text: str) -> dict[str, Any]:
    """The policy as data."""
    root = Document(text).root
    assert root is not None
    policy = value(root)
    assert isinstance(policy, dict)
    return policy


def _unmanaged(text: str) -> list[object]:
    policy = Policy(text)
    root = policy.document.root
    assert root is not None
    sections = (policy.tag_owners, policy.grants, policy.tests)
    found: list[object] = [
        (item.key.scalar, value(item.node))
        for item in root.items
        if item.key and item.node not in [s.node for s in sections]
    ]
    for section in sections:
        found += [(entry.key, entry.value) for entry in section.entries if entry.mark is None]
    return found
