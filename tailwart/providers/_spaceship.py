"""Spaceship's DNS API, contract as recorded in the project's API notes (docs.spaceship.dev).

Records are keyed by type, name and value. Writing a changed value therefore adds a second record (lesson 14), so a
change is always a put of the new and then a delete of the old.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from tailwart.errors import TailwartError
from tailwart.providers._spaceship_http import Client, NotFound
from tailwart.providers._spaceship_items import Item, from_item, to_item, without_metadata
from tailwart.providers.record import Key, Record

PAGE = 500
"""Largest number of records in one request."""

_READS = 3
_LARGEST = 1_000_000
"""Records of a zone; a larger total is no number that pages could be counted by."""

_T = TypeVar("_T")
_Service = tuple[str, str, str]
"""Name, priority and weight of an SRV record."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """A zone as it was last read: the API's own spelling of each record, and the types at each name."""

    items: dict[Key, list[Item]] = field(default_factory=dict)
    at: dict[str, set[str]] = field(default_factory=dict)


class Spaceship:
    """`Provider` over the HTTP API."""

    label = "Spaceship"
    keeps_strings = False

    def __init__(self, client: Client, nameservers: tuple[str, ...]) -> None:
        self.nameservers = nameservers
        self._client = client
        self._listed: dict[str, _Listed] = {}

    def read(self, zone: str) -> tuple[Record, ...]:
        """All records, 500 a request; read again when the zone changed between two pages."""
        try:
            for _ in range(_READS):
                items = self._pages(zone)
                if items is not None:
                    return self._remember(items, zone)
        except RecursionError as error:
            raise _formless("lists in lists without end") from error
        raise TailwartError(
            f"the zone {zone} changes while it is read", remedy="wait until nobody else edits it, then run again"
        )

    def change(self, zone: str, puts: Iterable[Record], deletes: Iterable[Record]) -> None:
        """One put, then one delete (each 500 records at most); nothing is sent when one record cannot be written."""
        # What exists once at a name (SPF, DMARC) comes last in the puts and first in the deletes: the moment in which
        # both the old and the new one stand is one request long.
        new, gone = sorted(puts, key=_is_text), sorted(deletes, key=_is_text, reverse=True)
        items = {entry.key: to_item(entry) for entry in new}
        present = (Record(*key) for key in self._listed.get(zone, _Listed()).items)
        swap = _services(new, gone, present)
        if swap is not None:
            stand_ins = [to_item(entry) for entry in swap.stand_ins]
            self._put(zone, stand_ins)
            self._delete(zone, swap.old)
            self._put(zone, [items[entry.key] for entry in swap.new])
            self._delete(zone, swap.stand_ins)
            new = [entry for entry in new if entry not in swap.new]
            gone = [entry for entry in gone if entry not in swap.old]
        for force, batch in self._put_batches(zone, new):
            self._put(zone, [items[entry.key] for entry in batch], force=force)
        for chunk in _chunks(gone, PAGE):
            self._delete(zone, chunk)

    def _put(self, zone: str, items: list[Item], *, force: bool = False) -> None:
        for chunk in _chunks(items, PAGE):
            self._write("PUT", zone, {"force": force, "items": chunk})

    def _delete(self, zone: str, batch: Sequence[Record]) -> None:
        try:
            for chunk in _chunks(self._names(zone, batch), PAGE):
                self._write("DELETE", zone, chunk)
        except NotFound:
            # Somebody else removed a part, or an earlier attempt did before its answer was lost.
            present = {entry.key for entry in self.read(zone)}
            for entry in batch:
                if entry.key in present:
                    self._delete_one(zone, entry)

    def _delete_one(self, zone: str, entry: Record) -> None:
        try:
            self._write("DELETE", zone, self._names(zone, [entry]))
        except NotFound:
            return

    def _write(self, method: str, zone: str, body: Any) -> None:
        self._client.call(method, f"/dns/records/{zone}", zone=zone, body=body)

    def _names(self, zone: str, batch: Sequence[Record]) -> list[Item]:
        """The bare array of a delete; the API's own spelling where it is known."""
        listed = self._listed.get(zone, _Listed()).items
        return [without_metadata(item) for entry in batch for item in listed.get(entry.key) or [to_item(entry)]]

    def _put_batches(self, zone: str, puts: Sequence[Record]) -> Iterator[tuple[bool, list[Record]]]:
        """Batches with their `force`: only where a CNAME gives way to other data, which the API's check refuses."""
        at = self._listed.get(zone, _Listed()).at
        forced = [entry for entry in puts if _conflicts(entry, at)]
        plain = [entry for entry in puts if not _conflicts(entry, at)]
        for force, entries in ((True, forced), (False, plain)):
            for chunk in _chunks(entries, PAGE):
                yield force, chunk

    def _pages(self, zone: str) -> list[Item] | None:
        """All items, or None when the zone changed on the way: another total, or an item that came a second time."""
        items: list[Item] = []
        earlier: set[str] = set()
        total: int | None = None
        while total is None or len(items) < total:
            # Without an order the API promises none, and a page could miss what another shows twice.
            params: dict[str, str | int] = {"take": PAGE, "skip": len(items), "orderBy": "name"}
            document = self._client.call("GET", f"/dns/records/{zone}", zone=zone, params=params)
            page, count = _page(document)
            seen = {json.dumps(item, sort_keys=True) for item in page}
            if (total is not None and count != total) or (not page and len(items) < count) or seen & earlier:
                return None
            total = count
            items += page
            earlier |= seen
        return items

    def _remember(self, items: list[Item], zone: str) -> tuple[Record, ...]:
        spellings: dict[Key, list[Item]] = defaultdict(list)
        at: dict[str, set[str]] = defaultdict(set)
        records: dict[Key, Record] = {}
        for item in items:
            entry = from_item(item, zone)
            records.setdefault(entry.key, entry)
            if not entry.locked:
                spellings[entry.key].append(item)
            at[entry.name].add(entry.type)
        self._listed[zone] = _Listed(dict(spellings), dict(at))
        return tuple(records.values())


@dataclass(frozen=True, slots=True)
class _Swap:
    """SRV records that are replaced by others of the same name, priority and weight, and what stands in meanwhile."""

    old: list[Record]
    new: list[Record]
    stand_ins: list[Record]


def _services(new: Sequence[Record], gone: Sequence[Record], present: Iterable[Record]) -> _Swap | None:
    """The SRV records that must not be written beside those they replace; None without any.

    The notes of Spaceship's own Terraform provider identify an SRV record without its port and target. By that rule the
    put of a new port only touches the old record, and a delete of the old one takes the new one with it. So a record of
    another weight, which is another one by every rule, serves until both are done.
    """
    old: dict[_Service, list[Record]] = defaultdict(list)
    for entry in gone:
        if entry.type == "SRV":
            old[_service(entry)].append(entry)
    fresh = [entry for entry in new if entry.type == "SRV" and _service(entry) in old]
    if not fresh:
        return None
    used = {_service(entry) for entry in (*new, *gone, *present) if entry.type == "SRV"}
    stand_ins = []
    for entry in fresh:
        priority, _, rest = entry.value.split(" ", 2)
        weight = next(number for number in range(65536) if (entry.name, priority, str(number)) not in used)
        used.add((entry.name, priority, str(weight)))
        stand_ins.append(replace(entry, value=f"{priority} {weight} {rest}"))
    return _Swap([entry for key in dict.fromkeys(map(_service, fresh)) for entry in old[key]], fresh, stand_ins)


def _service(entry: Record) -> _Service:
    priority, weight, _ = entry.value.split(" ", 2)
    return entry.name, priority, weight


def _conflicts(entry: Record, at: dict[str, set[str]]) -> bool:
    others = at.get(entry.name, set())
    return bool(others) if entry.type == "CNAME" else "CNAME" in others


def _page(document: Any) -> tuple[list[Item], int]:
    items = document.get("items") if isinstance(document, dict) else None
    total = document.get("total") if isinstance(document, dict) else None
    whole = isinstance(total, int) and not isinstance(total, bool) and 0 <= total <= _LARGEST
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items) or not whole:
        raise _formless(json.dumps(document)[:80])
    return items, int(total or 0)


def _formless(seen: str) -> TailwartError:
    return TailwartError(
        "Spaceship's answer has not the form of its documentation",
        seen=seen,
        expected='{"items": […], "total": N}',
        remedy="check SPACESHIP_API_URL (https://spaceship.dev/api/v1)",
    )


def _is_text(entry: Record) -> bool:
    return entry.type == "TXT"


def _chunks(entries: Sequence[_T], size: int) -> Iterator[list[_T]]:
    for start in range(0, len(entries), size):
        yield list(entries[start : start + size])
