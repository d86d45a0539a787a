"""Edits of a HuJSON text as splices: the smallest parts that have to change; everything else keeps every byte.

Inserting and removing are exact inverses: what was inserted into a text and is removed again leaves the text as it
was. That needs rules for commas and line ends, and they are the same in both directions:

- Items go behind the last one and behind the comments on its line. A container whose last item has a trailing comma
  gets items with trailing commas; one without gets the missing comma and a last item without one.
- An empty container on one line is opened up, its items with trailing commas; one that already spans lines gets items
  without a trailing comma. So on removal the comma tells whether the line end was inserted with the items.
- A text that is one line stays one.

Removing leaves no blanks at the end of a line that were not there.

    >>> document = Document('{"a": [1]} /* kept */')
    >>> print(apply(document.text, insert(document, document.root, [Text('"b": 2')])))
    {"a": [1], "b": 2} /* kept */
    >>> print(apply(document.text, remove(document, document.root, {0})))
    {} /* kept */
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tailwart.tailnet.hujson import Document, Item, Node
from tailwart.tailnet.layout import Text

_SAME_LINE_COMMENTS = re.compile(r"(?:[ \t]*/\*[^\n]*?\*/)*(?:[ \t]*//[^\r\n]*(?:\r(?!\n)[^\r\n]*)*)?")
_LINE_END = re.compile(r"\r?\n")
_BLANK_LINE_END = re.compile(r"[ \t]*(?=\r?\n)")
_COMMENT_ON_THE_LINE = re.compile(r"[ \t]*(?=//|/\*[^\n]*?\*/)")
DEFAULT_INDENT = "\t"


@dataclass(frozen=True, slots=True)
class Splice:
    """Replace ``text[start:end]`` by ``replacement``."""

    start: int
    end: int
    replacement: str


def apply(text: str, splices: Sequence[Splice]) -> str:
    """The text with all splices made. They must not overlap; those at one offset are made in the given order."""
    pieces = []
    position = 0
    for splice in sorted(splices, key=lambda splice: (splice.start, splice.end)):
        assert splice.start >= position, "splices overlap"
        pieces += [text[position : splice.start], splice.replacement]
        position = splice.end
    return "".join([*pieces, text[position:]])


def on_one_line(document: Document) -> bool:
    """Whether the whole value of a text stands on one line, as a program writes it that does not indent."""
    root = document.root
    return root is not None and bool(root.items) and "\n" not in document.text[root.start : root.end]


def indent_unit(document: Document) -> str:
    """One level of indentation: that of the first member of the file, else a tab, as the policy server formats it."""
    if document.root is None or not document.root.items:
        return DEFAULT_INDENT
    return _own_line_indent(document, document.root.items[0]) or DEFAULT_INDENT


def line_indent(document: Document, offset: int) -> str:
    """The white space at the beginning of the line that holds ``offset``."""
    line_start = document.text.rfind("\n", 0, offset) + 1
    match = re.compile(r"[ \t]*").match(document.text, line_start)
    return match.group() if match else ""


def item_indent(document: Document, container: Node) -> str:
    """The indentation that items added to this container get."""
    if container.items:
        own = _own_line_indent(document, container.items[-1])
        if own is not None:
            return own
    return line_indent(document, container.start) + indent_unit(document)


def insert(document: Document, container: Node, items: Sequence[Text]) -> list[Splice]:
    """Splices that add items, given as HuJSON text (`"key": value` in an object), at the end of a container."""
    if not items:
        return []
    if not container.items:
        return [_insert_into_empty(document, container, items)]
    last = container.items[-1]
    behind = last.end if last.comma is None else last.comma + 1
    place = _behind_comments(document, behind)
    own_line = _own_line_indent(document, last) is not None or "//" in document.text[behind:place]
    if own_line:
        place = _behind_blanks(document, place)
    texts = (
        _own_lines(document, items, item_indent(document, container)) if own_line else [" " + i.inline for i in items]
    )
    if last.comma is not None:
        return [Splice(place, place, "".join(f"{text}," for text in texts))]
    added = ",".join(texts)
    if place == behind:
        return [Splice(behind, behind, f",{added}")]
    return [Splice(behind, behind, ","), Splice(place, place, added)]


def _insert_into_empty(document: Document, container: Node, items: Sequence[Text]) -> Splice:
    place = _behind_comments(document, container.start + 1)
    base = line_indent(document, container.start)
    texts = _own_lines(document, items, base + indent_unit(document))
    if "\n" in document.text[place : container.end]:
        place = _behind_blanks(document, place)
        return Splice(place, place, ",".join(texts))
    if on_one_line(document):
        inline = ", ".join(item.inline for item in items)
        return Splice(place, place, (" " if place > container.start + 1 else "") + inline)
    return Splice(place, place, "".join(f"{text}," for text in texts) + document.newline + base)


def replace(document: Document, item: Item, text: Text) -> Splice:
    """The splice that gives an item another value, on lines of its own where the item begins its line."""
    at = text.at(document.newline, _own_line_indent(document, item), indent_unit(document))
    return Splice(item.node.start, item.end, at)


def _own_lines(document: Document, items: Sequence[Text], indent: str) -> list[str]:
    start, unit = document.newline + indent, indent_unit(document)
    return [start + item.at(document.newline, indent, unit) for item in items]


def remove(
    document: Document, container: Node, doomed: Collection[int], keep: Mapping[int, str] | None = None
) -> list[Splice]:
    """Splices that take the items with the indexes ``doomed`` out of an object or array; comments around them stay.

    ``keep`` are texts of comments inside an item that stay in its place.
    """
    splices = []
    survivors = [index for index in range(len(container.items)) if index not in doomed]
    last = container.items[-1]
    for index in sorted(doomed):
        item = container.items[index]
        detached = _has_detached_comma(document, item)
        end = item.end if detached else _behind_comma(item)
        kept = (keep or {}).get(index, "")
        if kept:
            ended = _BLANK_LINE_END.match(document.text, end)
            kept += document.newline if "//" in kept and not ended else ""
            splices.append(Splice(item.start, end, kept))
        else:
            start = item.start - _removable_space(document, container, index, doomed)
            comment = _COMMENT_ON_THE_LINE.match(document.text, end)
            if comment and _own_line_indent(document, item) is not None:
                start, end = item.start, comment.end()
            elif document.text[start] in "\r\n" and (blanks := _BLANK_LINE_END.match(document.text, end)):
                end = blanks.end()
            splices.append(Splice(start, end, ""))
        if detached:
            comma = _behind_comma(item) - 1
            between = index > 0 and index - 1 not in doomed and any(other > index for other in survivors)
            before = container.items[index - 1].comma if between else None
            # Where commas lead their lines, the comma of the item before stands beside this one.
            superfluous = before if before is not None and "\n" in document.text[item.end : comma] else comma
            splices.append(Splice(superfluous, superfluous + 1, ""))
    if len(container.items) - 1 in doomed and last.comma is None and survivors:
        left_over = container.items[survivors[-1]].comma
        assert left_over is not None, "an item that is not the last has a comma"
        splices.append(Splice(left_over, left_over + 1, ""))
    if not survivors and last.comma is not None and not _line_comment_within(document, container):
        opened_up = document.newline + _base_indent(document, container)
        behind = _behind_blanks(document, last.comma + 1)
        if document.text.startswith(opened_up, behind):
            splices.append(Splice(behind, behind + len(opened_up), ""))
    return list(_tidied(document.text, splices))


def _tidied(text: str, splices: Sequence[Splice]) -> Iterator[Splice]:
    """The splices of a removal, so widened that they leave no blanks in front of a line end."""
    joined: list[Splice] = []
    for one in sorted(splices, key=lambda one: (one.start, one.end)):
        if joined and joined[-1].end == one.start and not joined[-1].replacement and not one.replacement:
            joined[-1] = Splice(joined[-1].start, one.end, "")
        else:
            joined.append(one)
    for one in joined:
        if one.replacement or not _LINE_END.match(text, one.end) or text[one.start] in "\r\n":
            yield one
            continue
        start = len(text[: one.start].rstrip(" \t"))
        if text[:start].endswith("\n"):
            start -= 2 if text[:start].endswith("\r\n") else 1
        yield Splice(start, one.end, "")


def _removable_space(document: Document, container: Node, index: int, doomed: Collection[int]) -> int:
    """How many characters of white space in front of an item go with it."""
    item = container.items[index]
    before = document.text[: item.start].rstrip(" \t")
    blanks = item.start - len(before)
    if not before.endswith("\n"):
        return blanks
    line_end = len(before) - (2 if before.endswith("\r\n") else 1)
    comments = document.comments(container.start + 1 if index == 0 else container.items[index - 1].end, item.start)
    if (
        comments
        and comments[-1][1].startswith("//")
        and comments[-1][0] + len(comments[-1][1].rstrip("\r")) == line_end
        and not _line_ends_behind(document, container, index, doomed)
    ):
        return blanks
    return item.start - line_end


def _line_ends_behind(document: Document, container: Node, index: int, doomed: Collection[int]) -> bool:
    """Whether a line end stays behind an item and those that go with it.

    Without one, what follows would slide up into the `//` comment on the line above.
    """
    items = container.items
    while index + 1 in doomed and not document.comments(items[index].end, items[index + 1].start):
        if _has_detached_comma(document, items[index]):
            return False
        index += 1
    after = _behind_comma(items[index])
    return not _has_detached_comma(document, items[index]) and bool(_BLANK_LINE_END.match(document.text, after))


def _has_detached_comma(document: Document, item: Item) -> bool:
    """Whether more than blanks stand between an item and its comma."""
    return item.comma is not None and bool(document.text[item.end : item.comma].strip(" \t"))


def _behind_comma(item: Item) -> int:
    return item.end if item.comma is None else item.comma + 1


def _base_indent(document: Document, container: Node) -> str:
    """The indentation that the line of an opened-up container had, which other insertions may have split since."""
    unit = indent_unit(document)
    own = _own_line_indent(document, container.items[-1])
    if container is document.root or own is None or not own.endswith(unit):
        return line_indent(document, container.start)
    return own.removesuffix(unit)


def _line_comment_within(document: Document, container: Node) -> bool:
    """Whether a `//` comment stands between the items of a container."""
    gaps = zip(
        [container.start + 1, *(item.end for item in container.items)],
        [*(item.start for item in container.items), container.end - 1],
        strict=True,
    )
    return any(comment.startswith("//") for gap in gaps for _, comment in document.comments(*gap))


def _behind_blanks(document: Document, offset: int) -> int:
    """Behind the blanks at the end of a line, so that they stay where they are."""
    match = _BLANK_LINE_END.match(document.text, offset)
    return match.end() if match else offset


def _behind_comments(document: Document, offset: int) -> int:
    match = _SAME_LINE_COMMENTS.match(document.text, offset)
    return match.end() if match else offset


def _own_line_indent(document: Document, item: Item) -> str | None:
    """The white space before an item that begins its line; None for one in the middle of a line."""
    line_start = document.text.rfind("\n", 0, item.start) + 1
    before = document.text[line_start : item.start]
    return before if line_start and not before.strip(" \t") else None
