"""Spaceship's JSON items and our records, each way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tailwart.errors import TailwartError
from tailwart.providers.record import APEX, Record, record

Item = dict[str, Any]

MANAGED_GROUP = "custom"
"""The only group that may be changed; `product` and `personalNs` are the provider's own."""

_ONE_FIELD = {"A": "address", "AAAA": "address", "CNAME": "cname", "NS": "nameserver", "PTR": "pointer", "TXT": "value"}
_NAMES = {"CNAME", "NS", "PTR"}
# Some types carry the first labels of their owner name in fields of their own.
_OWNER_LABELS = {
    "SRV": ("service", "protocol"),
    "TLSA": ("port", "protocol"),
    "HTTPS": ("port", "scheme"),
    "SVCB": ("port", "scheme"),
}


def from_item(item: Item, zone: str) -> Record:
    """A record; one that DNS itself does not know (such as ALIAS) keeps its JSON as value and is never managed."""
    rtype = str(item.get("type", "")).upper()
    locked = (item.get("group") or {}).get("type", MANAGED_GROUP) != MANAGED_GROUP
    ttl = int(item.get("ttl") or 3600)
    name = str(item.get("name") or APEX).lower()
    labels = [str(item[field]).lower() for field in _OWNER_LABELS.get(rtype, ()) if item.get(field) not in {None, ""}]
    owner = ".".join([*labels, *([] if name == APEX else [name])]) or APEX
    try:
        text = _text(rtype, item)
        entry = record(zone, owner, rtype, text, ttl)
    except (TailwartError, KeyError, ValueError):
        entry = Record(owner, rtype, json.dumps(without_metadata(item), sort_keys=True), ttl)
    return Record(entry.name, entry.type, entry.value, ttl, locked)


def to_item(entry: Record) -> Item:
    """The item to write, without a group; names in it are absolute and have no final dot."""
    if entry.value.startswith("{") and entry.type not in _ONE_FIELD:
        return {**json.loads(entry.value), "ttl": entry.ttl}
    name, owner_fields = _owner(entry)
    return {"type": entry.type, "name": name, **owner_fields, **_value_fields(entry), "ttl": entry.ttl}


def without_metadata(item: Mapping[str, Any]) -> Item:
    """What names an item in a delete: neither TTL nor group."""
    return {field: value for field, value in item.items() if field not in {"ttl", "group"}}


def _text(rtype: str, item: Item) -> str:
    if rtype in _ONE_FIELD:
        value = str(item[_ONE_FIELD[rtype]])
        return _absolute(value) if rtype in _NAMES else value
    if rtype == "MX":
        return f"{item['preference']} {_absolute(item['exchange'])}"
    if rtype == "SRV":
        # `port` is a number here and the owner's label in TLSA, HTTPS and SVCB.
        return f"{item['priority']} {item['weight']} {item['port']} {_absolute(item['target'])}"
    if rtype == "CAA":
        value = str(item["value"]).replace("\\", "\\\\").replace('"', '\\"')
        return f'{item["flag"]} {item["tag"]} "{value}"'
    if rtype == "TLSA":
        return f"{item['usage']} {item['selector']} {item['matching']} {item['associationData']}"
    if rtype in {"HTTPS", "SVCB"}:
        return f"{item['svcPriority']} {_absolute(item['targetName'])} {item.get('svcParams') or ''}".strip()
    raise ValueError(rtype)


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
        return {_ONE_FIELD[entry.type]: value}
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
    if entry.type in {"HTTPS", "SVCB"}:
        return {"svcPriority": int(parts[0]), "targetName": _bare(parts[1]), "svcParams": " ".join(parts[2:])}
    raise TailwartError(
        f"{entry.name} {entry.type}: Spaceship has no records of this type",
        expected="A, AAAA, CAA, CNAME, HTTPS, MX, NS, PTR, SRV, SVCB, TLSA or TXT",
        remedy=f'leave it out: dns_exclude = ["{entry.name} {entry.type}"] in group_data/dns.py',
    )


def _absolute(name: Any) -> str:
    text = str(name).lower()
    return text if text in {APEX, "."} or text.endswith(".") else f"{text}."


def _bare(name: str) -> str:
    return name if name == "." else name.removesuffix(".")
