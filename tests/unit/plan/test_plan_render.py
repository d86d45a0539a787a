"""The one form of all plans, and that no secret gets into it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tailwart.plan import Action, Change, FieldChange, Plan, render, to_json

PLAN = Plan(
    "settings",
    (
        Change(Action.CREATE, "x:Domain", "example.org", (FieldChange("name", None, "example.org"),)),
        Change(Action.UPDATE, "x:MtaRoute", "smarthost", (FieldChange("port", 25, 587),), why="lesson 10"),
        Change(Action.DELETE, "x:AllowedIp", "203.0.113.9"),
    ),
    unmanaged=("x:Account carol@example.org",),
    warnings=("check the key",),
    post_apply="restart",
)


def test_a_plan_reads_like_one() -> None:
    assert render(PLAN).splitlines() == [
        "+ x:Domain example.org",
        "    name: example.org",
        "~ x:MtaRoute smarthost  (lesson 10)",
        "    port: 25 → 587",
        "- x:AllowedIp 203.0.113.9",
        "! check the key",
        "  unmanaged: x:Account carol@example.org",
        "settings: 1 to create, 1 to update, 1 to delete; then restart",
    ]


def test_an_empty_plan_is_false_and_says_so() -> None:
    empty = Plan("dns")
    assert not empty
    assert render(empty) == "dns: no changes"


@given(st.text(min_size=6), st.text(min_size=6), st.booleans())
def test_no_secret_is_ever_shown(old: str, new: str, colour: bool) -> None:
    old, new = f"\u2603{old}", f"\u2603{new}"  # a marker that no frame text contains
    change = Change(Action.UPDATE, "x:Account", "a", (FieldChange("secret", old, new, secret=True),))
    plan = Plan("settings", (change,))
    for text in (render(plan, colour=colour), json.dumps(to_json(plan), ensure_ascii=False)):
        assert "\u2603" not in text


def test_json_is_complete() -> None:
    document = json.loads(json.dumps(to_json(PLAN)))
    assert [change["action"] for change in document["changes"]] == ["create", "update", "delete"]
    assert document["post_apply"] == "restart"
