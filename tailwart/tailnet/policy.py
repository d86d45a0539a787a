"""The sections of a policy file that the deploy reads or edits, and the marks by which it knows its own entries.

Ownership: each managed entry carries a block comment *inside itself*: `{ /* tailwart:example.org/NAME */ "src": …}`
in `grants` and `tests`, `"tag:x": [ /* tailwart:example.org */ …]` in `tagOwners`. So the mark moves with the entry
when its owner sorts the file, survives the server's formatter (which keeps comments), and can never end up on a
neighbour, as a comment line above could. The domain keeps two installations on one tailnet apart. When a tool strips
all comments, an entry that equals a desired one still counts, and nothing is ever added twice. A section that a merge
created carries a mark between its key and its `[` or `{`, and is removed again when it is empty; one that stands in the
place of a `null` carries the mark `null`, and becomes one again.

Section and field names match in any case, as with the server (old files say `ACLs`, `TagOwners`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tailwart.errors import TailwartError
from tailwart.tailnet.hujson import Document, Item, Node, value

_NULL = "null"
_MARK = re.compile(r"/\*\s*tailwart:([^\s/*]+)(?:/([^\s/*]+))?\s*\*/")
_READ_ONLY = ("hosts", "ipsets", "groups", "postures", "ssh", "nodeAttrs")


class PolicyRefused(TailwartError):
    """A policy into which the desired entries cannot be merged; ``line`` is the one that is in the way."""

    def __init__(self, line: int, what: str, *, seen: str = "", expected: str = "", remedy: str = "") -> None:
        super().__init__(what, seen=seen, expected=expected, remedy=remedy)
        self.line = line

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuilt, (self.line, self.what, self.seen, self.expected, self.remedy))


def _rebuilt(line: int, what: str, seen: str, expected: str, remedy: str) -> PolicyRefused:
    return PolicyRefused(line, what, seen=seen, expected=expected, remedy=remedy)


@dataclass(frozen=True, slots=True)
class Mark:
    """The owner of an entry (``scope``: the installation's domain) and its ``name``, empty in `tagOwners`.

    >>> str(Mark("example.org", "edge-to-mailbox"))
    '/* tailwart:example.org/edge-to-mailbox */'
    """

    scope: str
    name: str = ""

    def __str__(self) -> str:
        return f"/* tailwart:{self.scope}{'/' if self.name else ''}{self.name} */"

    @property
    def of_null(self) -> Mark:
        """The mark of a section that stands in the place of a `null`."""
        return Mark(self.scope, _NULL)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a section: its place, its content, and its mark with its offset; None for an unmanaged entry."""

    index: int
    line: int
    item: Item
    value: Any
    mark: Mark | None
    mark_start: int = -1

    @property
    def key(self) -> str:
        """The member's key; empty in arrays."""
        return str(self.item.key.scalar) if self.item.key else ""


@dataclass(slots=True)
class Section:
    """One section; ``node`` and ``index`` (in the root object) are None when the file lacks it.

    ``null`` is the node of one whose value is `null`, which has no entries, and means the same as none. ``marks`` are
    those between its key and its bracket: a merge created it, or put it in the place of a `null`.
    """

    name: str
    node: Node | None = None
    index: int | None = None
    null: Node | None = None
    marks: tuple[Mark, ...] = ()
    entries: list[Entry] = field(default_factory=list)

    @property
    def managed(self) -> bool:
        """Whether a merge created it."""
        return any(mark.name != _NULL for mark in self.marks)

    @property
    def was_null(self) -> bool:
        """Whether a merge put it in the place of a `null`."""
        return any(mark.name == _NULL for mark in self.marks)


class Policy:
    """A parsed policy file.

    Raises `HuJSONError` for text that does not parse, `TailwartError` when it is not an object, or when a section
    has the wrong type or is defined twice; each names the line.
    """

    def __init__(self, text: str) -> None:
        self.document = Document(text)
        root = self.document.root
        if root is not None and root.kind != "object":
            raise _misfit(self.document, root, "the policy", "an object, { … }")
        self.tag_owners = self._section("tagOwners", "object")
        self.grants = self._section("grants", "array")
        self.acls = self._section("acls", "array")
        self.tests = self._section("tests", "array")
        self.hosts = self._section("hosts", "object")
        self.ipsets = self._section("ipsets", "object")
        self.groups = self._section("groups", "object")
        self.postures = self._section("postures", "object")
        self.ssh = self._section("ssh", "array")
        self.node_attrs = self._section("nodeAttrs", "array")

    @property
    def text(self) -> str:
        """The text that was parsed."""
        return self.document.text

    @property
    def allows_all(self) -> bool:
        """Whether it has no rules at all, not even an empty list of them: the server then allows everything."""
        return self.acls.node is None and self.grants.node is None

    def value(self, name: str) -> Any:
        """The value of a member of the root object, by its name in any case; None when there is none."""
        items = self.document.root.items if self.document.root else []
        found = [item for item in items if item.key is not None and str(item.key.scalar).lower() == name.lower()]
        return value(found[-1].node) if found else None

    def _section(self, name: str, kind: str) -> Section:
        section = Section(name)
        members = enumerate(self.document.root.items if self.document.root else [])
        for index, item in members:
            if item.key is None or str(item.key.scalar).lower() != name.lower():
                continue
            if name in _READ_ONLY and (item.node.kind != kind or section.index is not None):
                continue  # for the server to judge: it is only read here
            if section.index is not None:
                first = self.document.root.items[section.index] if self.document.root else item
                raise PolicyRefused(
                    self.document.line(item.start),
                    f"The policy defines {name!r} twice: lines {self.document.line(first.start)} and"
                    f" {self.document.line(item.start)}",
                    expected="one section: which of two counts is not defined",
                    remedy="join the two, then run again",
                )
            section.index = index
            if item.node.kind == "other" and item.node.scalar is None:
                section.null = item.node
                continue
            if item.node.kind != kind:
                expected = "an object, { … }" if kind == "object" else "a list, [ … ]"
                raise _misfit(self.document, item.node, name, expected)
            section.node = item.node
            section.marks = tuple(mark for _, mark in _marks(self.document, item.key.end, item.node.start))
        if section.node is not None:
            section.entries = list(self._entries(section.node))
        return section

    def _entries(self, container: Node) -> Iterator[Entry]:
        for index, item in enumerate(container.items):
            start = item.node.start if item.key is None else item.key.end
            offset, mark = next(iter(_marks(self.document, start, item.end)), (-1, None))
            yield Entry(index, self.document.line(item.start), item, value(item.node), mark, offset)


def _marks(document: Document, start: int, end: int) -> list[tuple[int, Mark]]:
    if document.text.find("tailwart:", start, end) < 0:
        return []
    comments = ((offset, _MARK.fullmatch(comment)) for offset, comment in document.comments(start, end))
    return [(offset, Mark(match[1], match[2] or "")) for offset, match in comments if match]


def _misfit(document: Document, node: Node, what: str, expected: str) -> TailwartError:
    return PolicyRefused(
        document.line(node.start),
        f"Line {document.line(node.start)} of the policy: {what} has the wrong type",
        seen=document.text[node.start : node.start + 40],
        expected=expected,
        remedy="correct that line, then run again; nothing was written",
    )
