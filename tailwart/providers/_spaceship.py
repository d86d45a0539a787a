"""Spaceship's DNS API, contract as recorded in the project's API notes (docs.spaceship.dev).

Records are keyed by type, name and value. Writing a changed value therefore adds a second record (lesson 14), so a
change is always a put of the new and then a delete of the old.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from tailwart.errors import TailwartError
from tailwart.providers._spaceship_http import Client, NotFound
from tailwart.providers._spaceship_items import Item, from_item, to_item, without_metadata
from tailwart.providers.record import Key, Record

PAGE = 500
"""Largest number of records in one request."""

_T = TypeVar("_T")


class Spaceship:
    """`Provider` over the HTTP API."""

    label = "Spaceship"

    def __init__(self, client: Client, nameservers: tuple[str, ...]) -> None:
        self.nameservers = nameservers
        self._client = client
        self._items: dict[Key, list[Item]] = {}
        self._at: dict[str, set[str]] = {}

    def read(self, zone: str) -> tuple[Record, ...]:
        """All records, 500 a request; read again once when the zone changed between two pages."""
        for _ in range(2):
            items = self._pages(zone)
            if items is not None:
                return self._remember(items, zone)
        raise TailwartError(
            f"the zone {zone} changes while it is read", remedy="wait until nobody else edits it, then run again"
        )

    def change(self, zone: str, puts: Iterable[Record], deletes: Iterable[Record]) -> None:
        """One put, then one delete (each 500 records at most)."""
        # What exists once at a name (SPF, DMARC) comes last in the puts and first in the deletes: the moment in which
        # both the old and the new one stand is one request long.
        gone = sorted(deletes, key=_is_text, reverse=True)
        for force, batch in self._put_batches(sorted(puts, key=_is_text)):
            self._write("PUT", zone, {"force": force, "items": [to_item(entry) for entry in batch]})
        if any(entry.type == "SRV" for entry in gone):
            # Spaceship's own Terraform provider identifies an SRV record without its port and target. Should the API
            # do so too, the put has replaced the old record, and a delete would now remove the new one.
            present = {entry.key for entry in self.read(zone)}
            gone = [entry for entry in gone if entry.key in present]
        for chunk in _chunks(gone, PAGE):
            self._delete(zone, chunk)

    def _delete(self, zone: str, batch: Sequence[Record]) -> None:
        try:
            self._write("DELETE", zone, self._names(batch))
        except NotFound:
            # Somebody else removed a part, or an earlier attempt did before its answer was lost.
            present = {entry.key for entry in self.read(zone)}
            for entry in batch:
                if entry.key in present:
                    self._delete_one(zone, entry)

    def _delete_one(self, zone: str, entry: Record) -> None:
        try:
            self._write("DELETE", zone, self._names([entry]))
        except NotFound:
            return

    def _write(self, method: str, zone: str, body: Any) -> None:
        self._client.call(method, f"/dns/records/{zone}", zone=zone, body=body)

    def _names(self, batch: Sequence[Record]) -> list[Item]:
        """The bare array of a delete; the API's own spelling where it is known."""
        return [without_metadata(item) for entry in batch for item in self._items.get(entry.key) or [to_item(entry)]]

    def _put_batches(self, puts: Sequence[Record]) -> Iterator[tuple[bool, list[Record]]]:
        """Batches with their `force`: only where a CNAME gives way to other data, which the API's check refuses."""
        forced = [entry for entry in puts if self._conflicts(entry)]
        plain = [entry for entry in puts if not self._conflicts(entry)]
        for force, entries in ((True, forced), (False, plain)):
            for chunk in _chunks(entries, PAGE):
                yield force, chunk

    def _conflicts(self, entry: Record) -> bool:
        others = self._at.get(entry.name, set())
        return bool(others) if entry.type == "CNAME" else "CNAME" in others

    def _pages(self, zone: str) -> list[Item] | None:
        """All items, or None when the total changed on the way."""
        items: list[Item] = []
        total: int | None = None
        while total is None or len(items) < total:
            params = {"take": PAGE, "skip": len(items)}
            document = self._client.call("GET", f"/dns/records/{zone}", zone=zone, params=params)
            page, count = _page(document)
            if (total is not None and count != total) or (not page and len(items) < count):
                return None
            total = count
            items += page
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
        self._items, self._at = dict(spellings), dict(at)
        return tuple(records.values())


def _page(document: Any) -> tuple[list[Item], int]:
    try:
        items, total = [dict(item) for item in document["items"]], int(document["total"])
    except (KeyError, TypeError, ValueError) as error:
        raise TailwartError(
            "Spaceship's answer has not the form of its documentation",
            expected='{"items": […], "total": N}',
            remedy="check SPACESHIP_API_URL (https://spaceship.dev/api/v1)",
        ) from error
    return items, total


def _is_text(entry: Record) -> bool:
    return entry.type == "TXT"


def _chunks(entries: Sequence[_T], size: int) -> Iterator[list[_T]]:
    for start in range(0, len(entries), size):
        yield list(entries[start : start + size])
