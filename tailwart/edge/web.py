"""Edits the Caddyfile of the web server beside an edge, so that the edge can own :443; and reverts the edit.

Only global options are touched: ``https_port`` becomes 8443, and ``servers`` reads the visitors' addresses from the
edge's PROXY header. Every other byte stays. Every addition carries a note by which `restore` finds it again. So the
operator's own later changes survive a restore, which they would not if an old copy were put back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tailwart.edge.caddy_config import WEB_HTTPS_PORT
from tailwart.edge.caddyfile import BYTE_ORDER_MARK, Token, tokens
from tailwart.errors import TailwartError

_OPTION = "https_port"
_LINE_NOTE = "# tailwart: the mail edge owns :443 and hands the web's connections on to this port"
_BLOCK_NOTE = "# tailwart (block): the mail edge owns :443 and hands the web's connections on to this port"
_SPLIT_NOTE = "# tailwart (split): the mail edge owns :443 and hands the web's connections on to this port"
# Earlier releases imported a site for JMAP_VHOST, whose name now goes to the mail server by SNI: taken out again.
_IMPORT_NOTE = "# tailwart: JMAP and webmail of the mail server"
_IMPORT_SPLIT_NOTE = "# tailwart (split): JMAP and webmail of the mail server"
_SERVERS_NOTE = "# tailwart (servers): the mail edge passes the visitors' addresses on"
_SERVERS_SPLIT_NOTE = "# tailwart (servers, split): the mail edge passes the visitors' addresses on"
SERVERS = (
    f"servers :{WEB_HTTPS_PORT} {{",
    "\tlistener_wrappers {",
    "\t\tproxy_protocol {",
    "\t\t\ttimeout 5s",
    "\t\t\tallow 127.0.0.1/32",
    "\t\t}",
    "\t\ttls",
    "\t}",
    "}",
)
"""The global option that takes visitors' addresses from the edge's PROXY header, and from nobody else."""
_NEWLINE = r"\r?\n"


def edit(text: str) -> str:
    """The Caddyfile with ``https_port`` 8443, and `SERVERS` unless it has a ``servers`` option of its own.

    Applying it again changes nothing. Raises `TailwartError` where the file's own ``https_port`` is written in a way
    that could not be put back.
    """
    return _with_addresses(_with_port(restore(text)))


def restore(text: str) -> str:
    """The Caddyfile without anything that `edit` put in, the operator's own ``https_port`` back in its place."""
    for pattern, replacement in _UNDO:
        text = pattern.sub(replacement, text, count=1)
    return _REPLACED.sub(lambda match: match[1], text)


def edited(text: str) -> bool:
    """Whether the text holds such an edit."""
    return restore(text) != text


def _with_port(text: str) -> str:
    found = tokens(text)
    opener = _global_block(found)
    newline = _newline(text)
    if opener is None:
        start = 1 if text.startswith(BYTE_ORDER_MARK) else 0
        block = f"{{{newline}\t{_BLOCK_NOTE}{newline}\t{_OPTION} {WEB_HTTPS_PORT}{newline}}}{newline}"
        return text[:start] + block + text[start:]
    values = list(_values(found, opener))
    for token in reversed(values):
        text = _replaced(text, token)
    if values:
        return text
    return _inserted(text, found, opener, f"\t{_OPTION} {WEB_HTTPS_PORT}", (f"\t{_LINE_NOTE}", f"\t{_SPLIT_NOTE}"))


def _with_addresses(text: str) -> str:
    found = tokens(text)
    opener = _global_block(found)
    # Two for one address are refused by Caddy; `adapted` says what is missing in the operator's own.
    if opener is None or any(True for _ in _options(found, opener, "servers")):
        return text
    lines = _newline(text).join(f"\t{line}" for line in SERVERS)
    return _inserted(text, found, opener, lines, (f"\t{_SERVERS_NOTE}", f"\t{_SERVERS_SPLIT_NOTE}"))


def _inserted(text: str, found: list[Token], after: int, line: str, notes: tuple[str, str]) -> str:
    """``line`` under a note, right behind the token ``after``; what follows on that line moves down when it must."""
    newline = _newline(text)
    follows = after + 1 < len(found) and not found[after + 1].first_of_line
    plain, split = notes
    addition = f"{newline}{split if follows else plain}{newline}{line}{newline if follows else ''}"
    end = found[after].end
    return text[:end] + addition + text[end:]


def _replaced(text: str, token: Token) -> str:
    if token.text == str(WEB_HTTPS_PORT):
        return text
    raw = text[token.start : token.end]
    if re.search(r"[\s;]", raw):
        raise TailwartError(
            f"the Caddyfile's {_OPTION} has a value that could not be put back later",
            seen=repr(raw),
            expected="a port number",
            remedy=f"write the option as `{_OPTION} 443`, or remove it",
        )
    return f"{text[: token.start]}{WEB_HTTPS_PORT} # tailwart replaced {raw};{text[token.end :]}"


def _global_block(found: list[Token]) -> int | None:
    """Index of the brace that opens the global options: a block without a name, before the first site."""
    index = 0
    while index < len(found):
        token = found[index]
        if token.opens:
            return index
        snippet = token.text.startswith("(") and token.text.endswith(")")
        if not snippet and token.text != "import":
            return None
        index = _after_statement(found, index)
    return None


def _after_statement(found: list[Token], index: int) -> int:
    """Index behind a snippet or an import line, with its block if it has one."""
    index += 1
    while index < len(found) and not found[index].first_of_line:
        if found[index].opens:
            closer = _closing(found, index)
            return len(found) if closer is None else closer + 1
        index += 1
    return index


def _closing(found: list[Token], opener: int) -> int | None:
    depth = 0
    for index in range(opener, len(found)):
        depth += found[index].opens - found[index].closes
        if depth == 0:
            return index
    return None


def _values(found: list[Token], opener: int) -> Iterator[Token]:
    """The value tokens of each https_port option of the global block."""
    for index in _options(found, opener, _OPTION):
        if index + 1 >= len(found) or found[index + 1].first_of_line or found[index + 1].closes:
            raise TailwartError(
                f"the Caddyfile's {_OPTION} has no value",
                expected="a port number",
                remedy=f"write `{_OPTION} 443`, or remove the option",
            )
        yield found[index + 1]


def _options(found: list[Token], opener: int, name: str) -> Iterator[int]:
    """The index of each option of that name in the global block."""
    end = _closing(found, opener)
    depth = 0
    for index in range(opener, len(found) if end is None else end):
        token = found[index]
        depth += token.opens - token.closes
        starts_option = token.first_of_line or index == opener + 1
        if depth == 1 and starts_option and token.text == name and not token.quoted:
            yield index


def _newline(text: str) -> str:
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


_PORT_LINE = rf"\t{_OPTION} {WEB_HTTPS_PORT}"
_SERVERS_LINES = _NEWLINE.join(re.escape(f"\t{line}") for line in SERVERS)
# Inserted last, undone first.
_UNDO = (
    (re.compile(rf"{_NEWLINE}\t{re.escape(_SERVERS_SPLIT_NOTE)}{_NEWLINE}{_SERVERS_LINES}{_NEWLINE}"), ""),
    (re.compile(rf"{_NEWLINE}\t{re.escape(_SERVERS_NOTE)}{_NEWLINE}{_SERVERS_LINES}"), ""),
    (re.compile(rf"{_NEWLINE}{re.escape(_IMPORT_SPLIT_NOTE)}{_NEWLINE}import \S+{_NEWLINE}"), ""),
    (re.compile(rf"{_NEWLINE}{re.escape(_IMPORT_NOTE)}{_NEWLINE}import \S+"), ""),
    (re.compile(rf"{_NEWLINE}\t{re.escape(_SPLIT_NOTE)}{_NEWLINE}{_PORT_LINE}{_NEWLINE}"), ""),
    (re.compile(rf"{_NEWLINE}\t{re.escape(_LINE_NOTE)}{_NEWLINE}{_PORT_LINE}"), ""),
    (re.compile(rf"\{{{_NEWLINE}\t{re.escape(_BLOCK_NOTE)}{_NEWLINE}{_PORT_LINE}{_NEWLINE}\}}{_NEWLINE}"), ""),
)
_REPLACED = re.compile(rf"{WEB_HTTPS_PORT} # tailwart replaced ([^\s;]*);")
