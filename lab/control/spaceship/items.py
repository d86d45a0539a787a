"""Record items of the Spaceship API: their members by type, validation, identity, and their form in a zone.

Source: https://docs.spaceship.dev (DNS records). An item is identified by type, name and value; the TTL belongs to no
identity. Names are relative to the zone, ``@`` for the apex; SRV, TLSA, HTTPS and SVCB carry the labels in front of the
name as members of their own. Everything but a TXT value compares without regard to case.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Item = dict[str, Any]
Check = Callable[[object], str | None]

TTL_RANGE = (60, 3600)
DEFAULT_TTL = 3600


@dataclass(frozen=True)
class Problem:
    """One entry of an error document's ``data``."""

    field: str
    details: str


@dataclass(frozen=True)
class Kind:
    """A record type. `prefix` are members that become labels of the owner name, `rdata` those of the value."""

    rdata: Mapping[str, Check]
    prefix: Mapping[str, Check] = field(default_factory=dict)
    #: Members that may be absent.
    optional: frozenset[str] = frozenset()


def _address(version: int) -> Check:
    def check(value: object) -> str | None:
        try:
            right = isinstance(value, str) and ipaddress.ip_address(value).version == version
        except ValueError:
            right = False
        return None if right else f"must be an IPv{version} address"

    return check


def _whole(low: int, high: int) -> Check:
    def check(value: object) -> str | None:
        right = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return None if right else f"must be an integer between {low} and {high}"

    return check


def _matching(pattern: str, expected: str) -> Check:
    def check(value: object) -> str | None:
        return None if isinstance(value, str) and re.fullmatch(pattern, value, re.DOTALL) else f"must be {expected}"

    return check


_HOST = _matching(
    r"(?=.{1,254}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,62})?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})?\.?", "a host name"
)
_TARGET = _matching(r"\.|[A-Za-z0-9_.-]{1,254}", "a host name or a dot")
_LABEL = _matching(r"_[A-Za-z0-9-]{1,62}", "a label that begins with an underscore")
_PORT_LABEL = _matching(r"_\d{1,5}|\*", "_ and a port number, or *")
_NAME = _matching(
    r"@|\*|(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]{0,62})?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})?", "a relative name or @"
)
_TEXT = _matching(r".{1,65535}", "a text of 1 to 65535 characters")
_CAA_TAG = _matching("issue|issuewild|issuemail|iodef|contactemail|contactphone", "a CAA tag")
_HEX = _matching(r"([0-9A-Fa-f]{2})+", "hexadecimal data")
_U8, _U16 = _whole(0, 255), _whole(0, 65535)

KINDS: Mapping[str, Kind] = {
    "A": Kind({"address": _address(4)}),
    "AAAA": Kind({"address": _address(6)}),
    "CNAME": Kind({"cname": _HOST}),
    "ALIAS": Kind({"aliasName": _HOST}),
    "MX": Kind({"preference": _U16, "exchange": _TARGET}),
    "TXT": Kind({"value": _TEXT}),
    "NS": Kind({"nameserver": _HOST}),
    "PTR": Kind({"pointer": _HOST}),
    "SRV": Kind(
        {"priority": _U16, "weight": _U16, "port": _whole(1, 65535), "target": _TARGET},
        {"service": _LABEL, "protocol": _LABEL},
    ),
    "CAA": Kind({"flag": _U8, "tag": _CAA_TAG, "value": _matching(r".{0,256}", "a text of up to 256 characters")}),
    "TLSA": Kind(
        {"usage": _U8, "selector": _U8, "matching": _U8, "associationData": _HEX},
        {"port": _PORT_LABEL, "protocol": _LABEL},
    ),
    "HTTPS": Kind(
        {"svcPriority": _U16, "targetName": _TARGET, "svcParams": _matching(r".{0,65535}", "service parameters")},
        {"port": _PORT_LABEL, "scheme": _LABEL},
        frozenset({"svcParams", "port", "scheme"}),
    ),
    "SVCB": Kind(
        {"svcPriority": _U16, "targetName": _TARGET, "svcParams": _matching(r".{0,65535}", "service parameters")},
        {"port": _PORT_LABEL, "scheme": _LABEL},
        frozenset({"svcParams", "port"}),
    ),
}  # fmt: skip


def problems(item: object, where: str, *, deleting: bool = False) -> list[Problem]:
    """What the API would refuse. Deleting takes identity only, so a ``ttl`` is refused there."""
    if not isinstance(item, dict):
        return [Problem(where, "must be an object")]
    kind = KINDS.get(str(item.get("type")))
    if kind is None:
        return [Problem(f"{where}.type", f"must be one of {', '.join(KINDS)}")]
    found = []
    members = {"name": _NAME, **kind.prefix, **kind.rdata}
    for name, check in members.items():
        if name not in item:
            if name not in kind.optional:
                found.append(Problem(f"{where}.{name}", "is required"))
        elif complaint := check(item[name]):
            found.append(Problem(f"{where}.{name}", complaint))
    allowed = {"type", *members} | (set() if deleting else {"ttl"})
    found += [Problem(f"{where}.{name}", "is not allowed") for name in item if name not in allowed]
    if not deleting and "ttl" in item and (complaint := _whole(*TTL_RANGE)(item["ttl"])):
        found.append(Problem(f"{where}.ttl", complaint))
    return found


def identity(item: Item) -> tuple[str, ...]:
    """Type, name and value; equal identities are the same record."""
    kind = KINDS[item["type"]]
    parts = [item["type"], item["name"].lower()]
    for name in (*kind.prefix, *kind.rdata):
        text = str(item.get(name, ""))
        parts.append(text if item["type"] == "TXT" else _fold(text))
    return tuple(parts)


def _fold(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text.lower().rstrip(".") or text


def owner(item: Item) -> str:
    """The relative owner name, labels of SRV and TLSA included."""
    labels = [str(item[name]) for name in KINDS[item["type"]].prefix if name in item]
    base = str(item["name"])
    return ".".join([*labels, *([] if base == "@" and labels else [base])]).lower()
