"""The tokens of a Caddyfile, with their places in the text: enough to edit one without touching the rest.

Follows the lexical rules of Caddy 2 (https://caddyserver.com/docs/caddyfile/concepts): whitespace ends a token, ``"``
and backtick quote, ``\\"`` escapes, ``#`` at a token's start is a comment, ``<<NAME`` opens a heredoc. Never fails:
text that Caddy refuses yields some tokens here and is refused by `caddy adapt` afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

BYTE_ORDER_MARK = "\ufeff"

# Go's unicode.IsSpace; str.isspace() has four control characters more.
_SPACE = frozenset(
    "\t\n\v\f\r \u0085\u00a0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_LINE_END = re.compile(r"\r*\n")
_HEREDOC_MARKER = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Token:
    """``text`` as Caddy sees it, the span it takes in the source, and whether it is the first of its line."""

    text: str
    start: int
    end: int
    quoted: bool
    first_of_line: bool

    @property
    def opens(self) -> bool:
        """Whether it opens a block."""
        return self.text == "{" and not self.quoted

    @property
    def closes(self) -> bool:
        """Whether it closes a block."""
        return self.text == "}" and not self.quoted


def tokens(source: str) -> list[Token]:
    """All tokens of the source, in order."""
    return list(_tokens(source))


def _tokens(source: str) -> Iterator[Token]:
    position = 1 if source.startswith(BYTE_ORDER_MARK) else 0
    fresh_line = True
    while position < len(source):
        position, fresh_line, escaped = _skip_blank(source, position, fresh_line)
        if position >= len(source):
            return
        token = _quoted(source, position, fresh_line) if source[position] in '"`' else None
        token = token or _bare(source, position, fresh_line, escaped)
        yield token
        position, fresh_line = token.end, False


def _skip_blank(source: str, position: int, fresh_line: bool) -> tuple[int, bool, bool]:
    """Over whitespace and comments; and whether a backslash stands directly before the next token."""
    escaped = comment = False
    while position < len(source):
        character = source[position]
        if character == "\\" and not escaped:
            # One before a newline joins two lines, one before anything else belongs to the token that follows.
            escaped = True
        elif character == "\n":
            fresh_line = fresh_line or not escaped
            escaped = comment = False
        elif character in _SPACE or comment:
            pass
        elif character == "#":
            comment = True
        else:
            break
        position += 1
    return position, fresh_line, escaped


def _quoted(source: str, start: int, first_of_line: bool) -> Token:
    quote = source[start]
    text: list[str] = []
    position = start + 1
    while position < len(source) and source[position] != quote:
        if quote == '"' and source[position] == "\\" and position + 1 < len(source):
            position += 1
            text.append(source[position] if source[position] == '"' else "\\" + source[position])
        else:
            text.append(source[position])
        position += 1
    # A quote that is never closed runs to the end, and Caddy forgets that it was one.
    closed = position < len(source)
    return Token("".join(text), start, min(position + 1, len(source)), closed, first_of_line)


def _bare(source: str, start: int, first_of_line: bool, hanging: bool) -> Token:
    text: list[str] = ["\\"] if hanging and source[start] != "<" else []
    end = position = start
    heredoc_possible = not hanging
    while position < len(source):
        character = source[position]
        if heredoc_possible and text[:2] == ["<", "<"] and character == "\n":
            return _heredoc(source, start, position, "".join(text[2:]), first_of_line)
        if character in _SPACE and character != "\r":
            break
        position += 1
        if character == "\r":  # Caddy overlooks it, even inside a token.
            continue
        if character == "\\" and position < len(source):
            if _LINE_END.match(source, position):
                break
            follower = source[position]
            if follower in _SPACE:
                end = position
                continue
            text.append("\\")
            character, position = follower, position + 1
        text.append(character)
        end = position
    return Token("".join(text), start, end, False, first_of_line)


def _heredoc(source: str, start: int, newline: int, marker: str, first_of_line: bool) -> Token:
    closing = source.find(marker, newline + 1) if _HEREDOC_MARKER.fullmatch(marker) else -1
    if closing < 0:
        return Token("<<" + marker, start, newline, False, first_of_line)
    end = closing + len(marker)
    return Token(source[newline + 1 : closing], start, end, True, first_of_line)
