"""What Spaceship's API takes no record of, said before anything is written.

Sources: the API's documentation, and the checks and notes of the provider's own SDK and Terraform provider.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tailwart.errors import TailwartError
from tailwart.providers.record import Record

TYPES = ("A", "AAAA", "ALIAS", "CAA", "CNAME", "HTTPS", "MX", "NS", "PTR", "SRV", "SVCB", "TLSA", "TXT")
TEXT_OCTETS = 65535
_TARGET = {"MX": 1, "SRV": 3, "CNAME": 0, "NS": 0, "PTR": 0}
_CAA = re.compile(r"(?P<flag>\d+) (?P<tag>\S+) \"(?P<value>.*)\"\Z", re.DOTALL)


def refuse(entry: Record) -> None:
    """Raise `TailwartError` for a record that the API refuses."""
    if entry.type not in TYPES:
        raise TailwartError(
            f"{entry.name} {entry.type}: Spaceship has no records of this type",
            expected=", ".join(TYPES),
            remedy=f'leave it out: dns_exclude = ["{entry.name} {entry.type}"] in group_data/dns.py',
        )
    for problem, expected in _problems(entry):
        raise TailwartError(
            f"{entry.name} {entry.type}: Spaceship takes no such record; nothing was written",
            seen=f"{problem}: {entry.value[:80]}",
            expected=expected,
            remedy=f'change it, or leave it out: dns_exclude = ["{entry.name} {entry.type}"] in group_data/dns.py',
        )


def _problems(entry: Record) -> Iterator[tuple[str, str]]:
    if not entry.is_dns:
        return
    if not entry.name.isascii():
        yield "a name beyond ASCII", "its ASCII form (xn--…)"
    if entry.type == "TXT":
        octets = entry.value.encode("utf-8", "surrogateescape")
        if not entry.value.strip():
            yield "a blank text", "a character that is no space"
        if len(octets) > TEXT_OCTETS:
            yield f"{len(octets)} octets", f"{TEXT_OCTETS} at most"
        if octets.decode("utf-8", "ignore") != entry.value:
            yield "octets that are no UTF-8", "UTF-8, which is all that JSON can carry"
    elif entry.type in _TARGET and entry.value.split()[_TARGET[entry.type]] == ".":
        yield "the target `.`", "a host name"
    elif entry.type == "TLSA" and len("".join(entry.value.split()[3:])) < 64:
        yield "short association data", "32 octets or more"
    elif entry.type == "CAA":
        parts = _CAA.match(entry.value)
        if parts is None or int(parts["flag"]) not in {0, 128}:
            yield "the flags", "0 or 128"
        elif parts["tag"] not in {"issue", "issuewild", "iodef"}:
            yield "the tag", "issue, issuewild or iodef"
        elif not parts["value"]:
            yield "an empty value", "1 to 256 characters"
