"""The text around the managed entries: comments of the owner's, `null` sections, blanks, and the file's own layout."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwart.errors import TailwartError
from tailwart.tailnet.merge import merge
from tests.unit.tailnet.policies import DESIRED, NOTHING, policies

OWNERS_NOTE = "/* reviewed by alice */"
TRAILING = re.compile(r"[ \t]+(?=\r?\n)")


@pytest.mark.parametrize("section", ["tagOwners", "grants", "tests"])
@pytest.mark.parametrize("null", ["null", " null ", "null /* none yet */"])
def test_a_null_section_is_empty_and_null_again_after_removal(section: str, null: str) -> None:
    text = f'{{\n\t"{section}": {null},\n\t"acls": [], // none\n}}\n'
    merged = merge(text, DESIRED)
    assert merged.changes
    assert merge(merged.text, DESIRED).changes == ()
    assert merge(merged.text, NOTHING).text == text


def test_a_null_twice_is_one_definition_too_many() -> None:
    with pytest.raises(TailwartError, match="twice: lines 1 and 2"):
        merge('{"grants": null,\n"Grants": []}', DESIRED)


def test_a_comment_of_the_owner_between_key_and_bracket_stays() -> None:
    text = merge("{\n}\n", DESIRED).text
    for name in ("tagOwners", "grants", "tests"):
        text = re.sub(f'("{name}": /\\* tailwart[^*]*\\*/)', rf"\1 {OWNERS_NOTE}", text)
    left = merge(text, NOTHING).text
    assert left.count(OWNERS_NOTE) == 3
    assert "tailwart" not in left
    assert merge(left, NOTHING).text == left


@pytest.mark.parametrize("note", [OWNERS_NOTE, "// reviewed by alice\n\t\t\t"])
def test_a_comment_of_the_owner_beside_the_owners_of_a_tag_stays(note: str) -> None:
    text = merge('{\n\t"tagOwners": {\n\t\t"tag:x": ["group:a"],\n\t},\n\t"acls": [],\n}\n', DESIRED).text
    marked = '"tag:mail": [\n\t\t\t/* tailwart:example.org */'
    assert marked in text
    noted = text.replace(marked, marked.replace("[", f"{note} ["))
    left = merge(noted, NOTHING).text
    assert note.strip() in left
    assert '"tag:mail"' not in left
    changed = replace(DESIRED, tag_owners={**DESIRED.tag_owners, "tag:mail": ("group:ops",)})
    assert note.strip() in merge(noted, changed).text


def test_a_section_that_the_owner_has_begun_to_use_keeps_no_mark() -> None:
    text = merge("{\n}\n", DESIRED).text
    own = '{"src": ["group:a"], "dst": ["tag:x"], "ip": ["*"]},'
    left = merge(
        text.replace('"grants": /* tailwart:example.org */ [', f'"grants": /* tailwart:example.org */ [{own}'), NOTHING
    ).text
    assert own in left
    assert "tailwart" not in left


@given(policies(), st.data())
def test_removal_leaves_no_blanks_at_line_ends(text: str, data: st.DataObject) -> None:
    """Also when an editor has put blanks behind the managed entries, or their commas elsewhere."""
    clean = TRAILING.sub("", text)
    merged = merge(clean, DESIRED).text
    blanks = data.draw(st.sampled_from(["", " ", "  \t"]))
    moved = re.sub(
        r"(^[ \t]*/\* tailwart:example\.org/[^{}]*\})(,?)(?=\r?\n)", rf"\1{blanks}\2{blanks}", merged, flags=re.M
    )
    left = merge(moved, NOTHING).text
    assert TRAILING.sub("", left) == left
    assert TRAILING.sub("", left) == clean


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("[\n\ta,\n\tX, // mine\n\tb,\n]", "[\n\ta,\n\t// mine\n\tb,\n]"),
        ("[\n\ta,\n\tX /* mine */,\n]", "[\n\ta,\n\t/* mine */\n]"),
        ("[\n\ta,\n\tX  ,  \n\tb,\n]", "[\n\ta,\n\tb,\n]"),
        ("[\n    a\n  , X\n  ]", "[\n    a\n  ]"),
        ("[\n    a\n  , X\n  , b\n  ]", "[\n    a\n  , b\n  ]"),
        ("[a, X ]", "[a ]"),
    ],
)
def test_what_stands_around_a_removed_entry_keeps_its_place(text: str, left: str) -> None:
    mark = '{/* tailwart:example.org/gone */ "src": ["tag:x"]}'
    filled = text.replace("a", '{"src": ["1"]}').replace("b", '{"src": ["2"]}').replace("X", mark)
    filled = filled.replace("m{", "m").replace("mine", "MINE")
    expected = left.replace("a", '{"src": ["1"]}').replace("b", '{"src": ["2"]}').replace("mine", "MINE")
    assert merge(f'{{"grants": {filled}}}', NOTHING).text == f'{{"grants": {expected}}}'


@pytest.mark.parametrize(
    "text",
    [
        '{"acls":[{"action":"accept","src":["group:a"],"dst":["tag:x:22"]}]}',
        '{"tagOwners":{"tag:x":["group:a"]},"grants":[],"acls":[]}',
        '{"tagOwners": {}, "grants": null, "tests": [ ]}\n',
    ],
)
def test_a_file_of_one_line_stays_one(text: str) -> None:
    merged = merge(text, DESIRED).text
    assert merged.count("\n") == text.count("\n")
    assert merge(merged, NOTHING).text == text


def test_the_values_of_other_members_stay_in_their_column() -> None:
    members = "".join(f'\t\t{key.ljust(24)} ["group:a"],\n' for key in ('"tag:a":', '"tag:much-longer-name":'))
    text = f'{{\n\t"tagOwners": {{\n{members}\t}},\n}}\n'
    merged = merge(text, DESIRED).text
    assert members in merged
    assert merged.count("\t\t],\n") == 3
    assert merge(merged, NOTHING).text == text


def test_a_mark_where_earlier_versions_put_it_is_known_and_stays_there() -> None:
    text = '{\n\t"tagOwners": {\n\t\t"tag:mail": /* tailwart:example.org */ ["group:a"],\n\t},\n\t"acls": [],\n}\n'
    merged = merge(text, DESIRED).text
    assert '"tag:mail": /* tailwart:example.org */ ["autogroup:admin"],' in merged
    assert '"tag:stalwart": [\n\t\t\t/* tailwart:example.org */\n\t\t\t"autogroup:admin",\n' in merged
    assert merge(merged, DESIRED).changes == ()
    assert "tag:mail" not in merge(merged, NOTHING).text
    changed = replace(DESIRED, tag_owners=dict.fromkeys(DESIRED.tag_owners, ("group:ops",)))
    again = merge(merged, changed).text
    assert '"tag:mail": /* tailwart:example.org */ ["group:ops"],' in again
    assert '"tag:stalwart": [\n\t\t\t/* tailwart:example.org */\n\t\t\t"group:ops",\n' in again
    assert merge(again, changed).changes == ()
