"""A plan as Markdown: nothing that others wrote is markup, a mention or a link."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from tailwart.plan import Action, Change, FieldChange, Plan, to_markdown

PLAN = Plan(
    "dns example.org",
    (
        Change(Action.CREATE, "A", "mail", (FieldChange("value", None, "198.51.100.11"),)),
        Change(Action.UPDATE, "TXT", "@", (FieldChange("value", "v=spf1 mx -all", "v=spf1 a -all"),)),
        Change(Action.DELETE, "TXT", "old", (FieldChange("value", "x", None),), why="no longer desired"),
    ),
    unmanaged=("www A 203.0.113.9",),
    warnings=("AAAA withheld",),
)


def test_changes_are_a_table_with_old_and_new_side_by_side() -> None:
    lines = to_markdown(PLAN).splitlines()
    assert lines[0] == "### dns example.org: 1 to create, 1 to update, 1 to delete"
    assert "| change | TXT \\@ | value: v=spf1 mx \\-all | value: v=spf1 a \\-all |  |" in lines
    assert "| **delete** | TXT old | value: x |  | no longer desired |" in lines
    assert "- AAAA withheld" in lines
    assert "- www A 203.0.113.9" in lines


def test_a_plan_without_changes_says_so_and_secrets_stay_masked() -> None:
    assert to_markdown(Plan("dns")) == "### dns: no changes"
    secret = Plan(
        "settings", (Change(Action.UPDATE, "Account", "a", (FieldChange("s", "old1", "new2", secret=True),)),)
    )
    assert "old1" not in to_markdown(secret)
    assert "new2" not in to_markdown(secret)


@settings(deadline=None)
@given(
    st.text(max_size=80) | st.sampled_from(["a|b", "@everyone", "<img src=x>", "[x](http://evil.example)", "`x`", "#1"])
)
def test_text_of_others_is_only_text(text: str) -> None:
    made = to_markdown(Plan("dns", (Change(Action.CREATE, "TXT", text, (FieldChange("value", None, text),)),)))
    (row,) = [line for line in made.splitlines() if line.startswith("| create")]
    bare = re.sub(r"\\.", "", row).replace("<br>", "").replace("<!-- -->", "")
    assert bare.count("|") == 6
    assert not re.search(r"[<>@`#\[\]*_]", bare)
    assert not re.search(r"(?i)\b(https?|ftp):", bare)


def test_a_huge_plan_fits_into_a_comment() -> None:
    many = tuple(Change(Action.CREATE, "A", f"n{n}", (FieldChange("value", None, "192.0.2.1"),)) for n in range(2000))
    assert len(to_markdown(Plan("dns", many))) < 65536
    assert "… and 1600 more." in to_markdown(Plan("dns", many))
