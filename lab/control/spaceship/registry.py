"""The provider's own list of record items for each domain, and its way to the name servers.

The list is authoritative, as at a hosted provider: a write is answered at once and published a moment later, several
writes together. Records that others add to the zone (an ACME client with a TSIG key, an operator with `knsupdate`)
enter the list when it is next read, and records that they remove leave it.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from lab.control.spaceship import zone as zones
from lab.control.spaceship.items import DEFAULT_TTL, Item, Problem, identity, owner, shown
from lab.control.spaceship.publisher import Publisher, PublishError, Record

_LOG = logging.getLogger(__name__)
_APEX_OWNED_BY_THE_SERVER = {dns.rdatatype.SOA, dns.rdatatype.NS}
_RETRY = 1.0
_LONGEST_WAIT = 2.0


class Unprocessable(Exception):
    """The API's 422."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems[0].details)
        self.problems = problems


class Gone(Exception):
    """The API's 404."""


@dataclass
class _Zone:
    items: dict[tuple[str, ...], Item] = field(default_factory=dict)
    #: Groups other than custom, by identity.
    groups: dict[tuple[str, ...], str] = field(default_factory=dict)
    #: What the name server was last known to serve of this list.
    published: dict[Record, int] = field(default_factory=dict)
    serial: int | None = None
    pending: bool = False


class Registry:
    """The lists of all domains of the account.

    `delay` seconds pass between the last write and its publication, at most 2 s after the first; 0 publishes within
    the request. `foreign` are the items that belong to a product or to personal name servers of a new domain. `state`
    keeps the list over restarts. With `coarse` an SRV record is identified without its port and target, as the notes of
    the provider's own Terraform provider have it."""

    def __init__(
        self,
        domains: Iterable[str],
        publisher: Publisher | None = None,
        delay: float = 0,
        state: Path | None = None,
        foreign: Iterable[Item] = (),
        *,
        coarse: bool = False,
    ) -> None:
        self._identity = _coarse if coarse else identity
        self._publisher = publisher
        self._delay = delay
        self._state = state
        self._lock = threading.RLock()
        self._due: float | None = None
        self._first = 0.0
        self._wake = threading.Condition(self._lock)
        self._zones = {domain: _Zone() for domain in domains}
        saved = json.loads(state.read_text()) if state is not None and state.exists() else {}
        for domain, zone in self._zones.items():
            if domain in saved:
                _load(zone, saved[domain])
            else:
                for item in foreign:
                    _insert(zone, {k: v for k, v in item.items() if k != "group"}, item["group"]["type"])
                zone.pending = bool(zone.items)
        if publisher is not None and delay > 0:
            threading.Thread(target=self._publish_when_due, name="publisher", daemon=True).start()
        with self._lock:
            self._written()

    def items(self, domain: str) -> list[Item]:
        """All items with their group, in a stable order. Raises Gone for an unknown domain, and PublishError."""
        with self._lock:
            zone = self._zone(domain)
            self._take_over(domain, zone)
            return [
                {**shown(item, place), "group": {"type": zone.groups.get(key, "custom")}}
                for place, (key, item) in enumerate(sorted(zone.items.items()))
            ]

    def put(self, domain: str, items: list[Item], force: bool) -> None:
        """Adds items by value. Raises Unprocessable and adds nothing; a CNAME beside others needs `force`."""
        with self._lock:
            zone = self._zone(domain)
            self._take_over(domain, zone)
            if problems := [
                Problem(f"items[{n}]", f"belongs to a group of type {zone.groups[self._identity(item)]}")
                for n, item in enumerate(items)
                if self._identity(item) in zone.groups
            ] + ([] if force else _conflicts(zone, items)):
                raise Unprocessable(problems)
            for item in items:
                key = self._identity(item)
                if key in zone.items:
                    # Of a record that is there, only the TTL changes.
                    zone.items[key]["ttl"] = item.get("ttl", DEFAULT_TTL)
                else:
                    _insert(zone, item, "custom", key)
            zone.pending = True
            self._written()

    def delete(self, domain: str, items: list[Item]) -> None:
        """Deletes the items. Raises Gone when one does not exist, Unprocessable when one is not in the group custom;
        then nothing is deleted."""
        with self._lock:
            zone = self._zone(domain)
            self._take_over(domain, zone)
            keys = [self._identity(item) for item in items]
            if any(key not in zone.items for key in keys):
                raise Gone("the resource record does not exist")
            if problems := [
                Problem(f"[{n}]", f"belongs to a group of type {zone.groups[key]}")
                for n, key in enumerate(keys)
                if key in zone.groups
            ]:
                raise Unprocessable(problems)
            for key in keys:
                zone.items.pop(key, None)
            zone.pending = True
            self._written()

    def flush(self) -> None:
        """Publishes what is pending. Raises PublishError."""
        with self._lock:
            for domain, zone in self._zones.items():
                if zone.pending:
                    self._publish(domain, zone)
            self._due = None
            self._save()

    def _zone(self, domain: str) -> _Zone:
        try:
            return self._zones[domain.lower()]
        except KeyError:
            raise Gone(f"{domain} does not exist in this account") from None

    def _written(self) -> None:
        self._save()
        if self._delay <= 0:
            if self._publisher is not None:
                self.flush()
        elif any(zone.pending for zone in self._zones.values()):
            now = time.monotonic()
            if self._due is None:
                self._first = now
            self._due = min(now + self._delay, self._first + _LONGEST_WAIT)
            self._wake.notify_all()

    def _publish_when_due(self) -> None:
        while True:
            with self._lock:
                if self._due is None:
                    self._wake.wait()
                elif (left := self._due - time.monotonic()) > 0:
                    self._wake.wait(left)
                else:
                    try:
                        self.flush()
                    except PublishError as error:
                        _LOG.warning("not published yet: %s", error)
                        self._due = time.monotonic() + _RETRY

    def _publish(self, domain: str, zone: _Zone) -> None:
        if self._publisher is None:
            return
        desired = _desired(zone)
        removed = [record for record, ttl in zone.published.items() if desired.get(record) != ttl]
        added = {record: ttl for record, ttl in desired.items() if zone.published.get(record) != ttl}
        if removed or added:
            self._publisher.change(domain, removed, added)
        zone.published, zone.pending, zone.serial = desired, False, None

    def _take_over(self, domain: str, zone: _Zone) -> None:
        """Adopts what others changed in the zone. Not while writes are pending: the zone is behind the list then."""
        if self._publisher is None or zone.pending:
            return
        serial = self._publisher.serial(domain)
        if serial == zone.serial:
            return
        live = {
            (name, data): ttl
            for (name, data), ttl in self._publisher.records(domain).items()
            # What the API does not know is neither listed nor, as nothing of the list's, ever taken away.
            if zones.item(name, ttl, data) is not None
            and not (name == dns.name.empty and data.rdtype in _APEX_OWNED_BY_THE_SERVER)
        }
        by_record = {record: key for key, record in _records(zone).items()}
        for record in zone.published.keys() - live.keys():
            zone.items.pop(by_record[record], None)
            zone.groups.pop(by_record[record], None)
        for (name, data), ttl in live.items():
            if (name, data) not in zone.published and (item := zones.item(name, ttl, data)) is not None:
                _insert(zone, item, "custom", self._identity(item))
        zone.published, zone.serial = live, serial
        self._save()

    def _save(self) -> None:
        if self._state is None:
            return
        document = {domain: _dump(zone) for domain, zone in self._zones.items()}
        temporary = self._state.with_suffix(".new")
        temporary.write_text(json.dumps(document))
        temporary.replace(self._state)


def _coarse(item: Item) -> tuple[str, ...]:
    parts = identity(item)
    return parts[:-2] if item["type"] == "SRV" else parts


def _insert(zone: _Zone, item: Item, group: str, key: tuple[str, ...] | None = None) -> None:
    key = identity(item) if key is None else key
    zone.items[key] = {"ttl": DEFAULT_TTL, **item, "name": str(item["name"]).lower()}
    if group != "custom":
        zone.groups[key] = group


def _conflicts(zone: _Zone, items: list[Item]) -> list[Problem]:
    names: dict[str, set[str]] = {}
    values: dict[str, set[tuple[str, ...]]] = {}
    for item in [*zone.items.values(), *items]:
        names.setdefault(owner(item), set()).add(item["type"])
        values.setdefault(owner(item), set()).add(identity(item))
    return [
        Problem(f"items[{n}].name", "conflicts with another record of this name")
        for n, item in enumerate(items)
        if "CNAME" in names[owner(item)] and len(values[owner(item)]) > 1 and owner(item) != "@"
    ]


def _records(zone: _Zone) -> dict[tuple[str, ...], Record]:
    return {key: (zones.name_of(item), zones.rdata(item)) for key, item in zone.items.items() if zones.served(item)}


def _desired(zone: _Zone) -> dict[Record, int]:
    """What the list looks like in DNS: a CNAME alone (RFC 1034, 3.6.2), one TTL for an RRset (RFC 2181, 5.2)."""
    records = _records(zone)
    aliased = {name for name, data in records.values() if data.rdtype == dns.rdatatype.CNAME}
    ttls: dict[tuple[dns.name.Name, int], int] = {}
    for key, (name, data) in records.items():
        ttl = int(zone.items[key]["ttl"])
        ttls[name, data.rdtype] = min(ttl, ttls.get((name, data.rdtype), ttl))
    return {
        (name, data): ttls[name, data.rdtype]
        for name, data in records.values()
        if name not in aliased or data.rdtype == dns.rdatatype.CNAME
    }


def _dump(zone: _Zone) -> dict[str, Any]:
    return {
        "items": [[item, zone.groups.get(key, "custom")] for key, item in zone.items.items()],
        "published": [
            [name.to_text(), ttl, dns.rdatatype.to_text(data.rdtype), data.to_text()]
            for (name, data), ttl in zone.published.items()
        ],
        "pending": zone.pending,
    }


def _load(zone: _Zone, document: Mapping[str, Any]) -> None:
    for item, group in document["items"]:
        _insert(zone, item, group)
    for name, ttl, kind, text in document["published"]:
        data = dns.rdata.from_text(dns.rdataclass.IN, kind, text)
        zone.published[dns.name.empty if name == "@" else dns.name.from_text(name, None), data] = ttl
    zone.pending = bool(document["pending"])
