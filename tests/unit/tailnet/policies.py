"""Policies for the tests: a small desired state, generated HuJSON texts, and a file of shapes met in the wild."""

from __future__ import annotations

import json
import re

from hypothesis import strategies as st

from tailwart.tailnet.desired import Desired, Grant, PolicyTest

OWNERS = ("autogroup:admin",)
DESIRED = Desired(
    scope="example.org",
    mailbox="tag:stalwart",
    edge="tag:reverse-proxy",
    tag_owners={"tag:stalwart": OWNERS, "tag:reverse-proxy": OWNERS, "tag:mail": OWNERS},
    grants=(
        Grant("edge-to-mailbox", ("tag:reverse-proxy",), "tag:stalwart", (25, 465, 587, 143, 993, 443)),
        Grant("mailbox-to-smarthost", ("tag:stalwart",), "tag:mail", (587,), "lesson 11"),
    ),
    tests=(
        PolicyTest("from-reverse-proxy", "tag:reverse-proxy", (("tag:stalwart", 25),), (("tag:stalwart", 8080),)),
        PolicyTest("from-stalwart", "tag:stalwart", (("tag:mail", 587),), (("tag:reverse-proxy", 22),)),
    ),
)
NOTHING = Desired("example.org", removing=True)


def without(text: str, name: str) -> str:
    """The text without the managed entry of that name, as its owner deletes it by hand."""
    left = re.sub(rf"\n\s*\{{\s*/\* tailwart:\S+/{re.escape(name)} \*/[^{{}}]*\}},", "", text)
    assert left != text, f"no entry {name}"
    return left


DEFAULT_POLICY = """// Example/default ACLs for unrestricted connections.
{
	// Declare static groups of users.
	// "groups": {
	// 	"group:example": ["user1@example.com", "user2@example.com"],
	// },
	"grants": [
		// Allow all connections.
		// Comment this section out if you want to define specific restrictions.
		{"src": ["*"], "dst": ["*"], "ip": ["*"]},
	],

	"ssh": [
		{
			"action": "check",
			"src":    ["autogroup:member"],
			"dst":    ["autogroup:self"],
			"users":  ["autogroup:nonroot", "root"],
		},
	],
}
"""

_WORDS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
_COMMENT_WORDS = _WORDS.map(lambda text: text.replace("*/", "").rstrip("*").replace("\n", " ").replace("\r", " "))
_SPACE = st.text(alphabet=" \t", max_size=3)
_KEYS = st.sampled_from(["groups", "postures", "ssh", "nodeAttrs", "x", "ÄÖ", "src", "dst"])


@st.composite
def trivia(draw: st.DrawFn, newline: str) -> str:
    """White space and comments, most often little."""
    pieces = []
    for kind in draw(st.lists(st.integers(0, 5), max_size=3)):
        words = draw(_COMMENT_WORDS)
        pieces.append(
            draw(_SPACE)
            if kind < 2
            else newline + draw(_SPACE)
            if kind < 4
            else f"/*{words}*/"
            if kind == 4
            else f"//{words}{newline}"
        )
    return "".join(pieces)


@st.composite
def value(draw: st.DrawFn, newline: str, depth: int = 2) -> str:
    """Any HuJSON value."""
    if depth == 0 or draw(st.booleans()):
        scalar = draw(
            st.one_of(_WORDS, st.booleans(), st.none(), st.integers(), st.floats(allow_nan=False, allow_infinity=False))
        )
        return json.dumps(scalar, ensure_ascii=draw(st.booleans()))
    return draw(composite(newline, depth, as_object=draw(st.booleans())))


@st.composite
def composite(
    draw: st.DrawFn, newline: str, depth: int, as_object: bool, fixed: dict[str, str] | list[str] | None = None
) -> str:
    """An object or array of values, with members or elements that it must have."""
    items = []
    if as_object:
        keys = draw(st.lists(_KEYS, unique=True, max_size=4))
        known = dict(fixed) if isinstance(fixed, dict) else {}
        for key in draw(st.permutations(list(dict.fromkeys([*known, *keys])))):
            body = known[key] if key in known else draw(value(newline, depth - 1))
            items.append(f"{json.dumps(key)}{draw(trivia(newline))}:{draw(trivia(newline))}{body}")
    else:
        items = [*(fixed or []), *(draw(value(newline, depth - 1)) for _ in range(draw(st.integers(0, 3))))]
    text = ""
    for index, item in enumerate(items):
        last = index == len(items) - 1
        comma = "" if last and draw(st.booleans()) else ","
        text += draw(trivia(newline)) + item + draw(trivia(newline)) + comma
    opening, closing = "{}" if as_object else "[]"
    return opening + text + draw(trivia(newline)) + closing


@st.composite
def policies(draw: st.DrawFn) -> str:
    """Whole policy files with some of the sections that a merge touches."""
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    fixed: dict[str, str] = {}
    if draw(st.booleans()):
        fixed[draw(st.sampled_from(["grants", "Grants"]))] = draw(composite(newline, 2, as_object=False))
    if draw(st.booleans()):
        rule = '{"action": "accept", "src": ["group:a"], "dst": ["tag:other:22"]}'
        fixed[draw(st.sampled_from(["acls", "ACLs"]))] = draw(composite(newline, 1, as_object=False, fixed=[rule]))
    if draw(st.booleans()):
        owners = {"tag:other": '["autogroup:admin"]'}
        fixed["tagOwners"] = draw(composite(newline, 1, as_object=True, fixed=owners))
    if draw(st.booleans()):
        fixed["tests"] = draw(composite(newline, 1, as_object=False))
    root = draw(composite(newline, 2, as_object=True, fixed=fixed))
    return draw(trivia(newline)) + root + draw(trivia(newline))
