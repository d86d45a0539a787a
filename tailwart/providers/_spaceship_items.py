"""Spaceship's JSON items and our records, each way; every member is checked, because an answer may hold anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import dns.exception

from tailwart.errors import TailwartError
from tailwart.providers._spaceship_limits import refuse
from tailwart.providers.record import APEX, Record, absolute, record

Item = dict[str, Any]

MANAGED_GROUP = "custom"
"""The only group that may be changed; `product` and `personalNs` are the provider's own."""

DEFAULT_TTL = 3600
_LONGEST = 255
"""Characters of a type or a name (RFC 1035 §2.3.4)."""

# Some types carry the first labels of their owner name in fields of their own.
_OWNER_LABELS = {
    "SRV": ("service", "protocol"),
    "TLSA": ("port", "protocol"),
    "HTTPS": ("port", "scheme"),
    "SVCB": ("port", "scheme"),
}
_VALUE = {
    "A": ("address",), "AAAA": ("address",), "CNAME": ("cname",), "NS": ("nameserver",), "PTR": ("pointer",),
    "TXT": ("value",), "ALIAS": ("aliasName",), "MX": ("preference", "exchange"), "CAA": ("flag", "tag", "value"),
    "SRV": ("priority", "weight", "port", "target"),
    "TLSA": ("usage", "selector", "matching", "associationData"),
    "HTTPS": ("svcPriority", "targetName", "svcParams"), "SVCB": ("svcPriority", "targetName", "svcParams"),
}  # fmt: skip
_ONE_FIELD = {"A", "AAAA", "CNAME", "NS", "PTR", "TXT"}
_NAMES = {"CNAME", "NS", "PTR"}


def from_item(item: Item, zone: str) -> Record:
    """A record; one that DNS itself does not know (such as ALIAS) keeps its JSON as its value.

    What has not the form of its type is locked: shown, and never written. Raises `TailwartError` for an item without
    a usable type, name or TTL, of which nothing can be said at all.
    """
    rtype, name, ttl = _word(item, "type").upper(), _word(item, "name", APEX).lower(), _ttl(item)
    group = item.get("group")
    locked = group is not None and not (isinstance(group, dict) and group.get("type") == MANAGED_GROUP)
    try:
        owner = _owner_name(item, rtype, name)
        entry = record(zone, owner, rtype, _text(rtype, item), ttl)
        entry.value.encode("utf-8", "surrogateescape")
        absolute(entry.name, zone)
        if entry.rrset == (APEX, "CNAME"):
            # An alias of the zone itself is kept and listed as this, and served as addresses.
            return Record(APEX, "ALIAS", json.dumps(without_metadata(item), sort_keys=True), ttl, locked)
        return Record(entry.name, entry.type, entry.value, ttl, locked)
    except (TailwartError, dns.exception.DNSException, KeyError, ValueError, TypeError):
        alias = rtype == "ALIAS" and isinstance(item.get("aliasName"), str)
        return Record(name, rtype, json.dumps(without_metadata(item), sort_keys=True), ttl, locked=locked or not alias)


def to_item(entry: Record) -> Item:
    """The item to write, without a group; names in it are absolute and have no final dot.

    Raises `TailwartError` for a record that the API would refuse.
    """
    refuse(entry)
    if not entry.is_dns:
        return {**_known(json.loads(entry.value)), "ttl": entry.ttl}
    name, owner_fields = _owner(entry)
    return {"type": entry.type, "name": name, **owner_fields, **_value_fields(entry), "ttl": entry.ttl}


def without_metadata(item: Mapping[str, Any]) -> Item:
    """What names an item in a delete, in the API's own spelling: neither TTL nor group nor anything unknown."""
    return _known(item) if str(item.get("type", "")).upper() in _VALUE else dict(item)


def _known(item: Mapping[str, Any]) -> Item:
    rtype = str(item.get("type", "")).upper()
    members = ("type", "name", *_OWNER_LABELS.get(rtype, ()), *_VALUE.get(rtype, ()))
    return {"name": APEX, **{member: item[member] for member in members if item.get(member) not in (None, "")}}


def _word(item: Item, member: str, default: str = "") -> str:
    value = item.get(member)
    if value is None or value == "":
        value = default
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
        raise _odd(item, member, f"a text of up to {_LONGEST} characters")
    return value


def _ttl(item: Item) -> int:
    value = item.get("ttl")
    if value is None:
        return DEFAULT_TTL
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 11:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise _odd(item, "ttl", "whole seconds")
    return value


def _odd(item: Item, member: str, expected: str) -> TailwartError:
    return TailwartError(
        f"Spaceship's answer has not the form of its documentation: {member} of a record",
        seen=f"{item.get(member)!r:.60} in {item.get('type')!r:.20} {item.get('name')!r:.60}",
        expected=expected,
        remedy="look at that record in Spaceship's console; nothing was changed",
    )


def _owner_name(item: Item, rtype: str, name: str) -> str:
    labels = []
    for member in _OWNER_LABELS.get(rtype, ()):
        value = item.get(member)
        if value is None or value == "":
            continue
        if isinstance(value, int) and not isinstance(value, bool) and member == "port":
            value = f"_{value}"  # the API takes and gives both forms
        if not isinstance(value, str):
            raise TypeError(member)
        labels.append(value.lower())
    return ".".join([*labels, *([] if name == APEX else [name])]) or APEX


def _text(rtype: str, item: Item) -> str:
    if rtype in _ONE_FIELD:
        value = _string(item[_VALUE[rtype][0]])
        return _absolute(value) if rtype in _NAMES else value
    if rtype == "MX":
        return f"{_number(item['preference'])} {_absolute(item['exchange'])}"
    if rtype == "SRV":
        # `port` is a number here and the owner's label in TLSA, HTTPS and SVCB.
        numbers = [_number(item[member]) for member in ("priority", "weight", "port")]
        return f"{numbers[0]} {numbers[1]} {numbers[2]} {_absolute(item['target'])}"
    if rtype == "CAA":
        value = _string(item["value"]).replace("\\", "\\\\").replace('"', '\\"')
        return f'{_number(item["flag"])} {_string(item["tag"])} "{value}"'
    if rtype == "TLSA":
        numbers = [_number(item[member]) for member in ("usage", "selector", "matching")]
        return f"{numbers[0]} {numbers[1]} {numbers[2]} {_string(item['associationData'])}"
    if rtype in {"HTTPS", "SVCB"}:
        params = _string(item.get("svcParams") or "")
        return f"{_number(item['svcPriority'])} {_absolute(item['targetName'])} {params}".strip()
    raise ValueError(rtype)


def _string(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def _number(value: object) -> int:
    if isinstance(value, str):
        return int(value.removeprefix("_"))
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(type(value).__name__)
    return value


def _owner(entry: Record) -> tuple[str, Item]:
    fields = _OWNER_LABELS.get(entry.type, ())
    labels = [] if entry.name == APEX else entry.name.split(".")
    if entry.type in {"HTTPS", "SVCB"} and not (len(labels) > 1 and labels[1].startswith("_")):
        return entry.name, {}
    if len(labels) < len(fields) or (fields and not labels[1].startswith("_")):
        raise TailwartError(
            f"{entry.name} {entry.type}: Spaceship keeps the first two labels of this type's name in fields",
            expected="a name such as _imaps._tcp or _25._tcp.mail",
        )
    rest = ".".join(labels[len(fields) :]) or APEX
    return rest, dict(zip(fields, labels, strict=False))


def _value_fields(entry: Record) -> Item:
    if entry.type in _ONE_FIELD:
        value = entry.value.removesuffix(".") if entry.type in _NAMES else entry.value
        return {_VALUE[entry.type][0]: value}
    parts = entry.value.split()
    if entry.type == "MX":
        return {"exchange": _bare(parts[1]), "preference": int(parts[0])}
    if entry.type == "SRV":
        priority, weight, port = map(int, parts[:3])
        return {"priority": priority, "weight": weight, "port": port, "target": _bare(parts[3])}
    if entry.type == "CAA":
        flag, tag, quoted = entry.value.split(" ", 2)
        value = quoted[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        return {"flag": int(flag), "tag": tag, "value": value}
    if entry.type == "TLSA":
        usage, selector, matching = map(int, parts[:3])
        return {"usage": usage, "selector": selector, "matching": matching, "associationData": "".join(parts[3:])}
    return {"svcPriority": int(parts[0]), "targetName": _bare(parts[1]), "svcParams": " ".join(parts[2:])}


def _absolute(name: Any) -> str:
    text = _string(name).lower()
    return text if text in {APEX, "."} or text.endswith(".") else f"{text}."


def _bare(name: str) -> str:
    return name if name == "." else name.removesuffix(".")
