"""Record items of the Spaceship API: their members by type, validation, identity, and their form in a zone.

Sources: https://docs.spaceship.dev (DNS records), and where the real API differs from it, the checks and notes of the
provider's own SDK and Terraform provider. An item is identified by type, name and value, not by its TTL. Names are
relative to the zone, ``@`` for the apex; SRV, TLSA, HTTPS and SVCB carry the labels in front of the name as members of
their own. Everything but a TXT value compares without regard to case. The port of TLSA, HTTPS and SVCB is
taken and given as ``"_25"`` and as ``25``.
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


def _port(value: object) -> str | None:
    text = str(value).removeprefix("_")
    form = isinstance(value, int) if str(value) == text else True
    right = value == "*" or (form and re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= 65535)
    return None if right and not isinstance(value, bool) else "must be * or _ and a port number"


def _blank(value: object) -> str | None:
    right = isinstance(value, str) and bool(value.strip()) and len(value.encode("utf-8", "surrogatepass")) <= 65535
    return None if right else "Value field is required" if value == "" else "must be a text of 1 to 65535 octets"


def _association(value: object) -> str | None:
    right = isinstance(value, str) and re.fullmatch(r"[0-9A-Fa-f]{2}(\s?[0-9A-Fa-f]{2})*", value)
    return None if right and 64 <= len(str(value)) <= 65535 else "must be 64 to 65535 hexadecimal digits in pairs"


_LABELS = r"(?=.{1,253}$)(?:(?!-)(?=[^.]*[A-Za-z0-9])[A-Za-z0-9_-]{1,63}(?<!-)(?:\.(?!$)|$))+"
_HOST = _matching(rf"(?:\*\.)?{_LABELS}", "a valid domain name")
_TARGET = _matching(rf"\.|{_LABELS}", "'.' or a valid domain name")
_LABEL = _matching(r"_[A-Za-z0-9-]{1,62}", "a label that begins with an underscore")
_NAME = _matching(rf"@|\*|(?:[*_]\.)?{_LABELS}", "a relative name or @")
_PRINTABLE = _matching(r"[ -~]{1,256}", "1 to 256 printable ASCII characters")
_CAA_TAG = _matching("issue|issuewild|iodef", "issue, issuewild or iodef")
_U8, _U16 = _whole(0, 255), _whole(0, 65535)


def _critical(value: object) -> str | None:
    return None if value in {0, 128} and not isinstance(value, bool) else "must be 0 or 128"


KINDS: Mapping[str, Kind] = {
    "A": Kind({"address": _address(4)}),
    "AAAA": Kind({"address": _address(6)}),
    "CNAME": Kind({"cname": _HOST}),
    "ALIAS": Kind({"aliasName": _HOST}),
    "MX": Kind({"preference": _U16, "exchange": _HOST}),
    "TXT": Kind({"value": _blank}),
    "NS": Kind({"nameserver": _HOST}),
    "PTR": Kind({"pointer": _HOST}),
    "SRV": Kind(
        {"priority": _U16, "weight": _U16, "port": _whole(1, 65535), "target": _HOST},
        {"service": _LABEL, "protocol": _LABEL},
    ),
    "CAA": Kind({"flag": _critical, "tag": _CAA_TAG, "value": _PRINTABLE}),
    "TLSA": Kind(
        {"usage": _U8, "selector": _U8, "matching": _U8, "associationData": _association},
        {"port": _port, "protocol": _LABEL},
    ),
    "HTTPS": Kind(
        {"svcPriority": _U16, "targetName": _TARGET, "svcParams": _matching(r".{0,65535}", "service parameters")},
        {"port": _port, "scheme": _matching("_https", "_https")},
        frozenset({"svcParams", "port", "scheme"}),
    ),
    "SVCB": Kind(
        {"svcPriority": _U16, "targetName": _TARGET, "svcParams": _matching(r".{0,65535}", "service parameters")},
        {"port": _port, "scheme": _LABEL},
        frozenset({"svcParams", "port", "scheme"}),
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
    if "port" in item and "scheme" in members and "scheme" not in item:
        found.append(Problem(f"{where}.scheme", "is required when port is set"))
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
        if name == "associationData":
            text = "".join(text.split())
        parts.append(text if item["type"] == "TXT" else _fold(text))
    return tuple(parts)


def _fold(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text.lower()


def canonical(item: Item) -> Item:
    """The item as it is kept: a port label as text, and an alias of the domain itself as the CNAME that it becomes."""
    if item["type"] == "ALIAS" and item["name"] == "@":
        item = {**{k: v for k, v in item.items() if k != "aliasName"}, "type": "CNAME", "cname": item["aliasName"]}
    if "port" in KINDS[item["type"]].prefix and isinstance(item.get("port"), int):
        item = {**item, "port": f"_{item['port']}"}
    return item


def shown(item: Item, place: int) -> Item:
    """The item as it is listed: the port label of every other one as a number."""
    port = str(item.get("port", ""))
    if "port" in KINDS[item["type"]].prefix and port.startswith("_") and place % 2:
        return {**item, "port": int(port[1:])}
    return item


def owner(item: Item) -> str:
    """The relative owner name, labels of SRV and TLSA included."""
    labels = [str(item[name]) for name in KINDS[item["type"]].prefix if name in item]
    base = str(item["name"])
    return ".".join([*labels, *([] if base == "@" and labels else [base])]).lower()
