"""Items to resource records and back, for a zone that a real name server serves."""

from __future__ import annotations

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.CAA
import dns.rdtypes.ANY.TXT

from lab.control.spaceship.items import KINDS, Item, owner

_TXT_STRING = 255
_HOSTS = {"cname", "exchange", "nameserver", "pointer", "target", "targetName"}
_NUMBERS = {"preference", "priority", "weight", "port", "usage", "selector", "matching", "svcPriority"}


def rdata(item: Item) -> dns.rdata.Rdata:
    """The record's data. Host names in items are absolute, with or without the final dot."""
    kind = item["type"]
    if kind == "TXT":
        value = str(item["value"]).encode()
        strings = [value[at : at + _TXT_STRING] for at in range(0, len(value), _TXT_STRING)]
        return dns.rdtypes.ANY.TXT.TXT(dns.rdataclass.IN, dns.rdatatype.TXT, strings)
    if kind == "CAA":
        quoted = str(item["value"]).replace("\\", "\\\\").replace('"', '\\"')
        return dns.rdata.from_text(dns.rdataclass.IN, kind, f'{item["flag"]} {item["tag"]} "{quoted}"')
    words = []
    for name in KINDS[kind].rdata:
        text = str(item.get(name, ""))
        words.append(_absolute(text) if name in _HOSTS else text)
    return dns.rdata.from_text(dns.rdataclass.IN, kind, " ".join(words))


def _absolute(host: str) -> str:
    return host if host.endswith(".") else host + "."


def served(item: Item) -> bool:
    """ALIAS, and a CNAME of the domain itself, exist at the provider only: its own servers answer with addresses."""
    return bool(item["type"] != "ALIAS" and (item["type"] != "CNAME" or owner(item) != "@"))


def name_of(item: Item) -> dns.name.Name:
    """Relative to the zone; the apex is the empty name."""
    relative = owner(item)
    return dns.name.empty if relative == "@" else dns.name.from_text(relative, None)


def item(name: dns.name.Name, ttl: int, data: dns.rdata.Rdata) -> Item | None:
    """The item for a record that somebody put into the zone by other means; None for a type the API does not know."""
    kind = dns.rdatatype.to_text(data.rdtype)
    if kind not in KINDS:
        return None
    labels = [label.decode().lower() for label in name.labels]
    found: Item = {"type": kind, "ttl": ttl}
    for member in KINDS[kind].prefix:
        if labels and (labels[0].startswith("_") or (member == "port" and labels[0] == "*")):
            found[member] = labels.pop(0)
        elif member not in KINDS[kind].optional:
            return None
    found["name"] = ".".join(labels) or "@"
    return found | _members(kind, data)


def _members(kind: str, data: dns.rdata.Rdata) -> Item:
    if kind == "TXT":
        assert isinstance(data, dns.rdtypes.ANY.TXT.TXT)
        return {"value": b"".join(data.strings).decode(errors="replace")}
    if kind == "CAA":
        assert isinstance(data, dns.rdtypes.ANY.CAA.CAA)
        return {"flag": data.flags, "tag": data.tag.decode(), "value": data.value.decode()}
    names = list(KINDS[kind].rdata)
    words = data.to_text().split(" ", len(names) - 1)
    if kind == "TLSA":
        words[-1] = words[-1].replace(" ", "")
    return {name: _value(name, word) for name, word in zip(names, words, strict=False)}


def _value(name: str, word: str) -> str | int:
    if name in _NUMBERS:
        return int(word)
    return word.rstrip(".") or "." if name in _HOSTS else word
