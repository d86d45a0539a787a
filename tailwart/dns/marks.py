"""Marks of ownership in the zone itself: one TXT record at `_tailwart` per installation; they outlive `_backup`.

    _tailwart.example.org. TXT "v=tailwart1; owner=example.org; records=6dkQh1rS…; spf=Zc0aTt…"

It holds a digest of each record that the installation published, and of each SPF term that is its own. It gives no
record away that cannot be asked for, and makes nothing ours that is not served with exactly this name, type and value.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from tailwart.providers.record import Key, Record, record

NAME = "_tailwart"
_VERSION = "v=tailwart1"
_SIZE = 6
"""Octets of a digest: enough against chance, and thirty records stay one short TXT record."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What one installation says about itself."""

    owner: str
    records: frozenset[bytes]
    terms: frozenset[bytes]

    def holds(self, key: Key) -> bool:
        """Whether the installation published this record."""
        return digest(*key) in self.records


def digest(*parts: str) -> bytes:
    """The short digest of a record, or of a name with an SPF term."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).digest()[:_SIZE]


def render(zone: str, owner: str, keys: Iterable[Key], terms: Iterable[tuple[str, str]], ttl: int) -> Record:
    """The mark of an owner for the records and (name, SPF term) pairs that are its own."""
    text = f"{_VERSION}; owner={owner}; records={_text(digest(*key) for key in keys)}"
    own_terms = _text(digest(*pair) for pair in terms)
    return record(zone, NAME, "TXT", f"{text}; spf={own_terms}" if own_terms else text, ttl)


def parse(entry: Record) -> Mark | None:
    """The mark that a record is; None for any other record, and for one that cannot be read."""
    if entry.rrset != (NAME, "TXT"):
        return None
    version, *parts = [part.strip() for part in entry.value.split(";")]
    fields = dict(part.split("=", 1) for part in parts if "=" in part)
    if version != _VERSION or not fields.get("owner"):
        return None
    try:
        return Mark(fields["owner"], _digests(fields.get("records", "")), _digests(fields.get("spf", "")))
    except (binascii.Error, ValueError):
        return None


def found(live: Iterable[Record]) -> list[Mark]:
    """All marks of a zone."""
    return [mark for entry in live if (mark := parse(entry))]


def owners(live: Iterable[Record], entry: Record) -> list[str]:
    """The installations whose marks claim a record."""
    return sorted(mark.owner for mark in found(live) if mark.holds(entry.key))


def _text(digests: Iterable[bytes]) -> str:
    return base64.b64encode(b"".join(sorted(set(digests)))).decode("ascii")


def _digests(text: str) -> frozenset[bytes]:
    octets = base64.b64decode(text, validate=True)
    if len(octets) % _SIZE:
        raise ValueError("cut off")
    return frozenset(octets[start : start + _SIZE] for start in range(0, len(octets), _SIZE))
