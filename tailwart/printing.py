"""The one way to the terminal: nothing printed can move the cursor, set a title, or show another order than it has.

Answers of APIs, servers, name servers, containers and policy texts are written by others. `printable` turns every
character of theirs that a terminal would obey into its `\\uXXXX` form, which is also the form of JSON, so that a
document stays one, and the login in a URL into asterisks. Colours of our own survive: `style` writes them with a mark
that is new in every process and that only `say` turns into an escape character. Everything is printed by `say`; what
pyinfra itself prints, its log and the output of commands included, is too (`tailwart.report`). In GitHub Actions no
line of others' is a command to the runner.

    >>> printable("done\\x1b[2J \\u202egnp.exe")
    'done\\\\u001b[2J \\\\u202egnp.exe'
"""

from __future__ import annotations

import os
import re
import secrets
from typing import IO, Any

from click import echo as _echo
from click import style as _style

# C0 but tab and line feed, DEL and C1 (ECMA-48); the bidirectional controls of UAX #9; line and paragraph separators;
# interlinear annotations, the byte order mark, tag characters; and surrogates, which no encoding can write.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_LOGIN = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#@\"']*:[^\s/?#@\"']*@")
# What the runner of GitHub Actions takes for a command: `::name …::` at the beginning of a line, `##[name]` anywhere.
_COMMAND = re.compile(r"(^\s*|(?=##\[))([:#])(:|#\[)", re.M)
_ESCAPE = f"\ue01b{secrets.token_hex(8)}"


def printable(text: str) -> str:
    """The text with every character that a terminal obeys, but tab and line feed, as `\\uXXXX`, and without logins."""
    return _OBEYED.sub(_visible, without_logins(text))


def without_logins(text: str) -> str:
    """The text with `NAME:PASSWORD@` in its URLs replaced.

    >>> without_logins("redis://:secret@redis.tail1234.ts.net:6379/3")
    'redis://********@redis.tail1234.ts.net:6379/3'
    """
    return _LOGIN.sub(r"\1********@", text) if "://" in text else text


def _visible(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def style(text: Any, *args: Any, **kwargs: Any) -> str:
    """`click.style` of a printable text, for `say`."""
    return _style(printable(str(text)), *args, **kwargs).replace("\x1b", _ESCAPE)


def say(
    message: Any = "", file: IO[Any] | None = None, nl: bool = True, err: bool = False, color: bool | None = None
) -> None:
    """`click.echo` of a text made printable, with the colours of `style`."""
    text = message.decode("utf-8", "replace") if isinstance(message, bytes | bytearray) else message
    text = "" if text is None else printable(str(text)).replace(_ESCAPE, "\x1b")
    if os.environ.get("GITHUB_ACTIONS"):
        text = _COMMAND.sub(lambda match: f"{match[1]}\\u{ord(match[2]):04x}{match[3]}", text)
    _echo(text, file, nl, err, color)


def overwrite(text: str) -> None:
    """Replace the line that the cursor is on by a printable text of one line, on the terminal of standard error."""
    _echo(f"\r\x1b[K{printable(text).replace(chr(10), ' ')}", nl=False, err=True, color=True)


def workflow_command(kind: str, message: str, **properties: str | int | None) -> None:
    """A command of ours to GitHub Actions, on standard error: `::error file=policy.hujson,line=3::what is wrong`.

    Properties that are empty or None are left out. Escapes as the runner's own toolkit does.
    """
    escaped = printable(message).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    given = ",".join(
        f"{name}={printable(str(value)).replace('%', '%25').replace(':', '%3A').replace(',', '%2C')}"
        for name, value in properties.items()
        if value not in (None, "")
    )
    _echo(f"::{kind}{' ' if given else ''}{given}::{escaped}", err=True)


def duration(seconds: float) -> str:
    """A span of time in the largest unit of which it has at least two.

    >>> duration(7000)
    '117 minutes'
    """
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
