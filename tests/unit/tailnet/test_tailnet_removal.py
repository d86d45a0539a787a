"""Taking entries out: after comments were stripped, while others use a tag, and what the file means afterwards."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from tailwart.tailnet.client import PolicyFile
from tailwart.tailnet.hujson import Document, value
from tailwart.tailnet.merge import merge
from tailwart.tailnet.push import PolicyPlan, make_plan
from tests.unit.tailnet.policies import DEFAULT_POLICY, DESIRED, policies

REMOVE = replace(DESIRED, removing=True)
UNMARKED = replace(REMOVE, unmarked=True)
OWN = '{"src": ["group:a"], "dst": ["tag:printer"], "ip": ["tcp:631"]}'


def data(text: str) -> Any:
    root = Document(text).root
    assert root is not None
    return value(root)


def stripped(text: str) -> str:
    """As the visual editor of the admin console leaves it: no comments, another layout."""
    return json.dumps(data(text), indent=4)


def plan(text: str, desired: Any = REMOVE) -> PolicyPlan:
    return make_plan(PolicyFile(text, '"x"'), desired)


def test_marks_that_were_stripped_are_no_reason_for_no_changes() -> None:
    planned = plan(stripped(merge(DEFAULT_POLICY, DESIRED).text))
    assert planned.refusal is not None
    said = str(planned.refusal)
    assert "bears a mark" in said
    assert "edge-to-mailbox" in said
    assert "the owners of tag:mail" in said
    assert "--remove --unmarked" in said
    assert planned.text == planned.live.text


def test_an_entry_that_was_changed_after_its_mark_was_stripped_is_found_too() -> None:
    grant = '{"src": ["tag:reverse-proxy"], "dst": ["tag:stalwart"], "ip": ["tcp:2525"]}'
    owners = '"tagOwners": {"tag:reverse-proxy": ["group:x"], "tag:stalwart": ["group:x"]}'
    text = f'{{"grants": [{OWN}, {grant}], {owners}}}'
    planned = plan(text)
    assert planned.refusal is not None
    assert planned.refusal.seen.count("line 1") == 3
    assert json.loads(OWN) in data(plan(text, UNMARKED).text)["grants"]
    assert data(plan(text, UNMARKED).text) == {"grants": [json.loads(OWN)], "tagOwners": {}}


@given(policies())
def test_stripped_entries_are_removed_when_asked(text: str) -> None:
    left = data(plan(stripped(merge(text, DESIRED).text), UNMARKED).text)
    assert _without_empty(left) == _without_empty(data(text))


@given(policies())
def test_a_removal_with_marks_restores_the_text(text: str) -> None:
    merged = merge(text, DESIRED).text
    assert plan(merged).refusal is None
    assert plan(merged).text == text


def test_beside_marked_entries_an_equal_one_is_the_owner_s_and_named() -> None:
    text = '{"tagOwners": {"tag:mail": ["autogroup:admin"]}, "acls": []}'
    planned = plan(merge(text, DESIRED).text)
    assert planned.text == text
    assert any("tag:mail" in line and "stays" in line for line in planned.plan.warnings)


@pytest.mark.parametrize(
    "rest",
    [
        '"acls": [{"action": "accept", "src": ["group:a"], "dst": ["tag:mail:25"]}]',
        '"ssh": [{"action": "accept", "src": ["group:a"], "dst": ["tag:mail"], "users": ["root"]}], "acls": []',
        '"autoApprovers": {"routes": {"10.0.0.0/8": ["tag:mail"]}}, "acls": []',
        '"nodeAttrs": [{"target": ["tag:mail"], "attr": ["nextdns:abc"]}], "acls": []',
        '"tests": [{"src": "group:a", "deny": ["tag:mail:22"]}], "acls": []',
        '"grants": [{"src": ["group:a"], "dst": ["10.0.0.0/8"], "ip": ["*"], "via": ["tag:mail"]}], "acls": []',
    ],
)
def test_a_tag_that_others_use_keeps_its_owners_and_that_is_said(rest: str) -> None:
    planned = plan(merge(f"{{{rest}}}", DESIRED).text)
    assert data(planned.text)["tagOwners"] == {"tag:mail": ["autogroup:admin"]}
    (said,) = [line for line in planned.plan.unmanaged if "tag:mail" in line]
    assert "still uses the tag" in said
    again = plan(planned.text)
    assert not again
    assert said in again.plan.unmanaged
    unused = planned.text.replace(rest, '"acls": []')
    assert data(plan(unused).text) == {"acls": []}


def test_a_tag_that_another_installation_uses_keeps_its_owners() -> None:
    other = replace(DESIRED, scope="example.net")
    both = merge(merge(DEFAULT_POLICY, DESIRED).text, other).text
    left = plan(both).text
    assert set(data(left)["tagOwners"]) == set(DESIRED.tag_owners)
    assert merge(left, other).changes == ()
    last = plan(left, replace(other, removing=True)).text
    assert set(data(last).get("tagOwners", {})) == set()


def test_an_owner_tag_of_a_tag_that_stays_stays_too() -> None:
    chained = replace(DESIRED, tag_owners={**DESIRED.tag_owners, "tag:mail": ("tag:stalwart",)})
    text = merge('{"acls": [{"action": "accept", "src": ["group:a"], "dst": ["tag:mail:25"]}]}', chained).text
    left = data(plan(text, replace(chained, removing=True)).text)
    assert set(left["tagOwners"]) == {"tag:mail", "tag:stalwart"}


def test_a_tag_that_settings_no_longer_name_stays_while_others_use_it() -> None:
    text = merge('{"acls": [{"action": "accept", "src": ["group:a"], "dst": ["tag:mail:25"]}]}', DESIRED).text
    fewer = replace(DESIRED, grants=DESIRED.grants[:1], tests=DESIRED.tests[:1])
    fewer = replace(fewer, tag_owners=dict.fromkeys(("tag:stalwart", "tag:reverse-proxy"), ("autogroup:admin",)))
    planned = plan(text, fewer)
    assert "tag:mail" in data(planned.text)["tagOwners"]
    assert any("still uses the tag" in line for line in planned.plan.unmanaged)


def test_a_removal_that_opens_everything_says_so() -> None:
    planned = plan(merge("{}", DESIRED).text)
    assert planned.text == "{}"
    assert any("allows everything to everybody" in line for line in planned.plan.warnings)


def test_a_removal_that_closes_everything_says_so() -> None:
    planned = plan(merge('{"grants": []}', DESIRED).text)
    assert planned.text == '{"grants": []}'
    assert any("denies everything to everybody" in line for line in planned.plan.warnings)


def test_a_removal_that_leaves_rules_says_neither() -> None:
    assert not plan(merge(DEFAULT_POLICY, DESIRED).text).plan.warnings


def _without_empty(policy: Any) -> Any:
    sections = ("tagowners", "grants", "tests")
    return {key: content for key, content in policy.items() if content or key.lower() not in sections}
