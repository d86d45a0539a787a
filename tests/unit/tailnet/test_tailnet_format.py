"""The managed entries beside upstream's own formatter: a file that it has formatted stays as it leaves it."""

from __future__ import annotations

import subprocess
from dataclasses import replace

from hypothesis import given, settings

from tailwart.tailnet.desired import Grant, PolicyTest
from tailwart.tailnet.merge import merge
from tailwart.tailnet.policy import Policy
from tests.daemons import program
from tests.unit.tailnet.policies import DEFAULT_POLICY, DESIRED, NOTHING, policies
from tests.unit.tailnet.shapes import SHAPES

WIDE = tuple(range(1000, 1012))
MANY = replace(
    DESIRED,
    grants=(
        *DESIRED.grants,
        Grant("wide", ("tag:stalwart", "tag:höhe"), "tag:mail", WIDE),
        Grant("narrow", ("tag:stalwart",), "tag:mail", WIDE[:7]),
        Grant("at-the-limit", ("a" * 74,), "tag:mail", (1,)),
        Grant("beyond", ("a" * 75,), "tag:mail", (1,)),
    ),
    tests=(*DESIRED.tests, PolicyTest("wide", "tag:mail", (("tag:stalwart", 25),), tuple(("tag:x", n) for n in WIDE))),
)
# As the first release wrote them.
ONE_LINE = """{
	"tagOwners": {
		"tag:other":         ["group:ops"],
		"tag:stalwart":      [ /* tailwart:example.org */ "autogroup:admin"],
		"tag:reverse-proxy": /* tailwart:example.org */ ["autogroup:admin"],
		"tag:mail": [/* tailwart:example.org */ "autogroup:admin"],
	},
	"grants": /* tailwart:example.org */ [
		{/* tailwart:example.org/edge-to-mailbox */ "src": ["tag:reverse-proxy"], "dst": ["tag:stalwart"], "ip": ["tcp:25", "tcp:465", "tcp:587", "tcp:143", "tcp:993", "tcp:443"]},
		{/* tailwart:example.org/mailbox-to-smarthost */ "src": ["tag:stalwart"], "dst": ["tag:mail"], "ip": ["tcp:587"]},
	],
	"tests": /* tailwart:example.org */ [
		{/* tailwart:example.org/from-reverse-proxy */ "src": "tag:reverse-proxy", "proto": "tcp", "accept": ["tag:stalwart:25"], "deny": ["tag:stalwart:8080"]},
		{/* tailwart:example.org/from-stalwart */ "src": "tag:stalwart", "proto": "tcp", "accept": ["tag:mail:587"], "deny": ["tag:reverse-proxy:22"]},
	],
}
"""  # noqa: E501


def formatted(text: str) -> str:
    """The text as upstream's formatter writes it."""
    command = [program("hujsonfmt", "it is one of the lab's programs")]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=True)
    return done.stdout.decode()


def roomy(text: str) -> bool:
    """Whether the file and each section that a merge adds to have items on lines of their own with trailing commas."""
    policy = Policy(text)
    sections = (policy.tag_owners, policy.grants, policy.tests)
    if policy.document.root is None or any(section.null for section in sections):
        return False
    nodes = [policy.document.root, *(section.node for section in sections if section.node)]
    lasts = [node.items[-1] for node in nodes if node.items]
    # Standard JSON is no longer that with a mark in it: the formatter then adds the commas that it lacks.
    return len(lasts) == len(nodes) and all(
        last.comma is not None and text[: last.start].rstrip("\t").endswith("\n") for last in lasts
    )


def test_a_formatted_file_stays_formatted() -> None:
    """Those whose sections have a line for each entry; where all stands on one, an entry of ours makes it too wide."""
    files = [formatted(text) for text in ("{}", DEFAULT_POLICY, *SHAPES.values())]
    found = [text for text in files if text == "{}\n" or roomy(text)]
    assert len(found) >= 5
    for text in found:
        merged = merge(text, MANY).text
        assert formatted(merged) == merged
        assert merge(merged, MANY).changes == ()
        assert merge(merged, NOTHING).text == text


@given(policies())
@settings(max_examples=30)
def test_any_formatted_file_stays_formatted(text: str) -> None:
    start = formatted(text)
    merged = merge(start, DESIRED).text
    if roomy(start):
        assert formatted(merged) == merged
    assert merge(merged, NOTHING).text == start


def test_entries_of_the_first_release_stay_as_they_are_and_go_as_they_came() -> None:
    assert merge(ONE_LINE, DESIRED).changes == ()
    assert merge(ONE_LINE, DESIRED).text == ONE_LINE
    left = merge(ONE_LINE, NOTHING).text
    assert left == '{\n\t"tagOwners": {\n\t\t"tag:other":         ["group:ops"],\n\t},\n}\n'


def test_only_what_changes_is_laid_out_anew() -> None:
    first, second = DESIRED.grants
    changed = replace(DESIRED, grants=(first, replace(second, ports=(465,))))
    merged = merge(ONE_LINE, changed)
    assert len(merged.changes) == 1
    line = next(line for line in ONE_LINE.splitlines() if "mailbox-to-smarthost" in line)
    before, after = ONE_LINE.split(line + "\n")
    assert merged.text.startswith(before)
    assert merged.text.endswith(after)
    assert '\n\t\t\t"ip":  ["tcp:465"],\n\t\t},\n' in merged.text
