"""Single values against a type of the schema: the JSON type, the bounds, and the form of an address or a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Any

from tailwart.stalwart.schema.model import Rule, Shape, Type

_WHOLE = frozenset({"integer", "unsignedInteger", "size", "duration"})


def given(value: Any) -> str:
    """A value's type for a message: its text is never part of it, it may be a secret."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, Mapping):
        return f"an object with {', '.join(sorted(map(str, value))[:6]) or 'no fields'}"
    return "a text" if isinstance(value, str) else f"a {type(value).__name__}"


def broken(type_: Type, value: Any) -> Rule | None:
    """The rule that a value breaks: TYPE for the wrong JSON type, VALUE for a content that is refused, else None."""
    if type_.shape is Shape.BOOLEAN:
        return None if isinstance(value, bool) else Rule.TYPE
    if type_.shape is Shape.NUMBER:
        return _broken_number(type_, value)
    if not isinstance(value, str):
        return Rule.TYPE
    if type_.shape is Shape.TIME:
        return None if _parses(datetime.fromisoformat, value.replace("Z", "+00:00")) else Rule.VALUE
    # The server takes no empty text anywhere: an absent value is null.
    if not value or (type_.max_length is not None and len(value) > type_.max_length):
        return Rule.VALUE
    form = _FORMS.get(type_.format)
    return None if form is None or _parses(form, value) else Rule.VALUE


def _broken_number(type_: Type, value: Any) -> Rule | None:
    whole = type_.format in _WHOLE
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        return Rule.TYPE
    below = type_.minimum is not None and value < type_.minimum
    above = type_.maximum is not None and value > type_.maximum
    negative = type_.format in ("unsignedInteger", "size") and value < 0
    # A duration of nothing is refused; an absent one is null.
    instant = type_.format == "duration" and value <= 0
    return Rule.VALUE if below or above or negative or instant else None


def _socket(text: str) -> None:
    host, colon, port = text.rpartition(":")
    if not colon or not 0 < int(port) < 65536:
        raise ValueError(text)
    ip_address(host.strip("[]"))


def _network(text: str) -> None:
    ip_network(text, strict=False)


_FORMS: Mapping[str, Callable[[str], object]] = {
    "ipAddress": ip_address,
    "ipNetwork": _network,
    "socketAddress": _socket,
}


def _parses(form: Callable[[str], object], text: str) -> bool:
    try:
        form(text)
    except ValueError:
        return False
    return True
