"""Reading HuJSON (JSON with comments and trailing commas, "JWCC") as a policy server reads it.

Independent of the deploy's own editor on purpose: a shared parser would agree with itself.
"""

from __future__ import annotations

import json
import re
from typing import Any

_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<comment>//[^\n]*(?=\n)|/\*.*?\*/)|(?P<comma>,)|(?P<close>[\]}])|(?P<space>\s+)|(?P<other>.)""",
    re.DOTALL,
)


class SyntaxProblem(Exception):
    """The text is no HuJSON; the message carries line and column."""


def parse(text: str) -> Any:
    """The value of `text`. Raises SyntaxProblem; duplicate members, a byte order mark, a comment at the end
    that no line end closes and half a surrogate pair are problems, as on the server."""
    try:
        value = json.loads(_standard(text), object_pairs_hook=_unique)
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise SyntaxProblem(f"line {error.lineno}, column {error.colno}: {error.msg}") from error
    except UnicodeEncodeError as error:
        raise SyntaxProblem(f"invalid surrogate pair: {error}") from error
    return value


def _standard(text: str) -> str:
    """Comments and trailing commas become blanks, so that every other character keeps its line and column."""
    parts: list[str] = []
    comma_at: int | None = None
    for token in _TOKEN.finditer(text):
        kind, value = token.lastgroup, token.group()
        if kind == "comment":
            value = re.sub(r"[^\n]", " ", value)
        elif kind == "close" and comma_at is not None:
            parts[comma_at] = " "
        if kind not in {"comment", "space"}:
            comma_at = len(parts) if kind == "comma" else None
        parts.append(value)
    return "".join(parts)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise SyntaxProblem(f"duplicate object member name {json.dumps(name)}")
        members[name] = value
    return members
