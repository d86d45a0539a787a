"""HuJSON (JSON with `//` and `/* */` comments and trailing commas) as a concrete syntax tree over the text.

The tree only points into the text: nothing is ever printed back from it, so whatever an edit does not replace keeps
every byte, comments, order and line ends included. None of the Python libraries for JSON5, Hjson or
JSONC that keep comments does that: they regenerate white space, or are not maintained.

The grammar is that of the policy server's own parser: strict JSON otherwise, so single quotes, unquoted keys, a missing
comma, a byte order mark, a `//` comment without a line end behind it, white space of Unicode's and half a surrogate
pair are errors here as they are there.

    >>> document = Document('{"tests": [1, /* two */ 2,], } // end\\n')
    >>> value(document.root)
    {'tests': [1, 2]}
    >>> document.comments(0, len(document.text))
    [(14, '/* two */'), (31, '// end')]
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any, Literal

from tailwart.errors import TailwartError

BYTE_ORDER_MARK = "\ufeff"
MAX_DEPTH = 100
_TRIVIA = re.compile(r"(?:[ \t\r\n]+|//[^\n]*\n|/\*.*?\*/)*", re.DOTALL)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*"')
_SCALAR = re.compile(r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)(?![\w.+-])")

_SURROGATE = re.compile("[\ud800-\udfff]")

Kind = Literal["object", "array", "string", "other"]


class HuJSONError(TailwartError):
    """The text is not HuJSON; ``line`` and ``column`` (both from 1) say where."""

    def __init__(self, problem: str, line: int, column: int) -> None:
        super().__init__(f"The policy text is not HuJSON: line {line}, column {column}: {problem}")
        self.problem = problem
        self.line = line
        self.column = column

    def __reduce__(self) -> tuple[object, ...]:
        return (HuJSONError, (self.problem, self.line, self.column))


@dataclass(slots=True)
class Node:
    """A value: its kind, its span without surrounding trivia, and what it holds."""

    kind: Kind
    start: int
    end: int
    scalar: Any = None
    items: list[Item] = field(default_factory=list)


@dataclass(slots=True)
class Item:
    """An element, or a member (then with ``key``); ``comma`` is the offset of the comma behind it, if there is one."""

    key: Node | None
    node: Node
    comma: int | None = None

    @property
    def start(self) -> int:
        """Where the key or, in an array, the value begins."""
        return self.node.start if self.key is None else self.key.start

    @property
    def end(self) -> int:
        """Where the value ends."""
        return self.node.end


class Document:
    """A parsed text. ``root`` is None when it holds only white space and comments. Raises `HuJSONError`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self.root = _Parser(self).document()

    def line(self, offset: int) -> int:
        """The line, from 1, of an offset."""
        return bisect_left(self._newlines, offset) + 1

    def error(self, problem: str, offset: int) -> HuJSONError:
        """An error that points at ``offset``."""
        line_start = self.text.rfind("\n", 0, offset) + 1
        return HuJSONError(problem, self.line(offset), offset - line_start + 1)

    def comments(self, start: int, end: int) -> list[tuple[int, str]]:
        """Offset and text of every comment in a stretch that begins and ends outside strings."""
        found = []
        position = start
        while position < end:
            char = self.text[position]
            if char == '"':
                match = _STRING.match(self.text, position)
            elif char == "/":
                match = _COMMENT.match(self.text, position)
                if match:
                    found.append((position, match.group()))
            else:
                match = None
            position = match.end() if match else position + 1
        return found

    @property
    def newline(self) -> str:
        """The line end of the text, by its first line."""
        first = self._newlines[0] if self._newlines else 0
        return "\r\n" if first and self.text[first - 1] == "\r" else "\n"


def value(node: Node) -> Any:
    """The node as plain Python data; the last of several equal keys counts, as on the server."""
    if node.kind == "object":
        return {item.key.scalar: value(item.node) for item in node.items if item.key is not None}
    if node.kind == "array":
        return [value(item.node) for item in node.items]
    return node.scalar


class _Parser:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._text = document.text
        self._depth = 0

    def document(self) -> Node | None:
        if self._text.startswith(BYTE_ORDER_MARK):
            raise self._error("a byte order mark in front; save the file as UTF-8 without one", 0)
        start = self._trivia(0)
        if start == len(self._text):
            return None
        root = self._value(start)
        end = self._trivia(root.end)
        if end != len(self._text):
            raise self._error(f"{self._seen(end)} after the end of the policy", end)
        return root

    def _trivia(self, position: int) -> int:
        match = _TRIVIA.match(self._text, position)
        assert match is not None, "the pattern matches the empty string"
        if self._text.startswith("/*", match.end()):
            raise self._error("a comment that is never closed", match.end())
        if self._text.startswith("//", match.end()):
            raise self._error("a // comment without a line end behind it", match.end())
        return match.end()

    def _value(self, position: int) -> Node:
        char = self._text[position : position + 1]
        if char == '"':
            return self._string(position)
        if char and char in "{[":
            return self._composite(position, char)
        match = _SCALAR.match(self._text, position)
        if match is None:
            raise self._error(f"expected a value, found {self._seen(position)}", position)
        return Node("other", position, match.end(), json.loads(match.group()))

    def _string(self, position: int) -> Node:
        match = _STRING.match(self._text, position)
        if match is None:
            raise self._error("a string that is not closed on its line", position)
        if "\\" not in match.group():
            return Node("string", position, match.end(), match.group()[1:-1])
        try:
            scalar = json.loads(match.group())
        except ValueError:
            raise self._error(f"an invalid escape in the string {match.group()[:40]}", position) from None
        if _SURROGATE.search(scalar):
            raise self._error(f"half a surrogate pair in the string {match.group()[:40]}", position)
        return Node("string", position, match.end(), scalar)

    def _composite(self, position: int, opening: str) -> Node:
        kind: Literal["object", "array"] = "object" if opening == "{" else "array"
        closing = "}" if opening == "{" else "]"
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} nested levels", position)
        node = Node(kind, position, position)
        at = self._trivia(position + 1)
        while self._text[at : at + 1] != closing:
            item = self._item(at, kind)
            node.items.append(item)
            at = self._trivia(item.end)
            if self._text[at : at + 1] == ",":
                item.comma = at
                at = self._trivia(at + 1)
            elif self._text[at : at + 1] != closing:
                raise self._error(f"expected ',' or '{closing}' in the {kind}, found {self._seen(at)}", at)
        node.end = at + 1
        self._depth -= 1
        return node

    def _item(self, position: int, kind: str) -> Item:
        if kind == "array":
            return Item(None, self._value(position))
        if self._text[position : position + 1] != '"':
            raise self._error(f"expected a key in double quotes, found {self._seen(position)}", position)
        key = self._string(position)
        colon = self._trivia(key.end)
        if self._text[colon : colon + 1] != ":":
            raise self._error(f"expected ':' after the key {key.scalar!r}, found {self._seen(colon)}", colon)
        return Item(key, self._value(self._trivia(colon + 1)))

    def _seen(self, position: int) -> str:
        return repr(self._text[position]) if position < len(self._text) else "the end of the text"

    def _error(self, problem: str, position: int) -> HuJSONError:
        return self._document.error(problem, position)
