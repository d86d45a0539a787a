"""How a managed entry looks: as the policy server's formatter lays it out, so that it never rewraps one.

The rules are those of `Format` in github.com/tailscale/hujson: an object or list with a line end in it has each item on
a line of its own; one without becomes so when it is wider than 80; values of members in consecutive lines begin in one
column. Where a file or a list is on one line, an entry is too.

    >>> print(entry({"src": ["tag:a"], "ip": ["tcp:25"]}, "/* mine */").at("\\n", "  ", "  "))
    {
        /* mine */
        "src": ["tag:a"],
        "ip":  ["tcp:25"],
      }
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_WIDTH = 80


@dataclass(frozen=True, slots=True)
class Text:
    """The text of an item: on one line, and on ``lines`` of its own, each level of indentation a tab in front."""

    inline: str
    lines: tuple[str, ...] = ()

    def at(self, newline: str, indent: str | None, unit: str) -> str:
        """The text for an item that begins behind ``indent`` on a line of its own; None: in the middle of a line."""
        if indent is None or not self.lines:
            return self.inline
        first, *others = self.lines
        return newline.join([first, *(indent + _indented(line, unit) for line in others)])

    def behind(self, prefix: str) -> Text:
        """The text with something in front of it, such as the key of a member."""
        first, *others = self.lines
        return Text(prefix + self.inline, (prefix + first, *others))


def entry(content: Mapping[str, Any], mark: str) -> Text:
    """An object with a mark in it."""
    inline = "{" + mark + " " + _json(content).removeprefix("{")
    return Text(inline, ("{", f"\t{mark}", *_members(content), "}"))


def owners(names: Sequence[str], mark: str) -> Text:
    """A list with a mark in it. In front of it, the formatter would move the values of the members around."""
    inline = f"[{mark}{' ' if names else ''}{_json(list(names)).removeprefix('[')}"
    return Text(inline, ("[", f"\t{mark}", *(f"\t{_json(name)}," for name in names), "]"))


def _members(content: Mapping[str, Any]) -> Iterator[str]:
    block: list[tuple[str, str]] = []
    for key, value in content.items():
        name = f"{_json(key)}:"
        if not isinstance(value, list) or _width(value) <= _WIDTH:
            block.append((name, f"{_json(value)},"))
            continue
        yield from _aligned(block)
        block = []
        yield f"\t{name} ["
        yield from (f"\t\t{_json(item)}," for item in value)
        yield "\t],"
    yield from _aligned(block)


def _aligned(block: list[tuple[str, str]]) -> Iterator[str]:
    widest = max((len(name) for name, _ in block), default=0)
    for name, value in block:
        yield f"\t{name.ljust(widest)} {value}"


def _width(items: Sequence[str]) -> int:
    """As the formatter counts: in bytes, with a comma and a blank behind every item."""
    return 2 + sum(len(_json(item).encode()) + 2 for item in items)


def _indented(line: str, unit: str) -> str:
    text = line.lstrip("\t")
    return unit * (len(line) - len(text)) + text


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False)
