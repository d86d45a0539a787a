"""Providers through octoDNS: its transport and its writing, over a reading of our own.

octoDNS leaves record types that it does not know out of what it reads, and some of its providers cut values short on
the way into its model. A zone is therefore read from the provider's own listing (`Listing`), fetched with the library's
client, so that nothing is invisible; octoDNS gets exactly the record sets that change. Its whole-zone synchronisation,
which deletes what is not desired, is never used.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dns.exception
import dns.tokenizer

from tailwart.errors import TailwartError
from tailwart.plan.model import MASK
from tailwart.providers._octodns_backend import Backend, Rrset
from tailwart.providers.record import APEX, GENERATED, Record, record, relative

RrsetName = tuple[str, str]


class OctoDns:
    """`Provider` over one octoDNS provider."""

    keeps_strings = False

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.label = backend.label
        self.nameservers = backend.nameservers

    def read(self, zone: str) -> tuple[Record, ...]:
        """The zone as the provider lists it."""
        return tuple(entry for rrset in self._list(zone) for entry in records_of(rrset, zone))

    def change(self, zone: str, puts: Iterable[Record], deletes: Iterable[Record]) -> None:
        """Write the record sets that differ, each as a whole; nothing is written when one of them cannot be."""
        puts, deletes = list(puts), list(deletes)
        before = {(relative(rrset.owner, zone), rrset.type): rrset for rrset in self._list(zone)}
        desired = {
            name: after
            for name in sorted({entry.rrset for entry in [*puts, *deletes]})
            if (after := _after(name, before.get(name), zone, puts, deletes)) is not None
        }
        if not desired:
            return
        try:
            self._write(zone, desired, before)
        except TailwartError:
            raise
        except Exception as error:
            raise self._failure(error, zone, "changed") from error

    def _list(self, zone: str) -> list[Rrset]:
        try:
            return [
                rrset for rrset in self._backend.listing(self._backend.library(), zone) if rrset.type not in GENERATED
            ]
        except TailwartError:
            raise
        except Exception as error:
            raise self._failure(error, zone, "read") from error

    def _write(self, zone: str, desired: dict[RrsetName, list[Record]], before: dict[RrsetName, Rrset]) -> None:
        from octodns.provider.plan import Plan  # noqa: PLC0415 - octoDNS is loaded by its users only
        from octodns.record import Create, Delete, Update  # noqa: PLC0415
        from octodns.zone import Zone  # noqa: PLC0415

        # It warns of every record of the owner's that its validators refuse; what matters comes as an exception.
        logging.getLogger("Record").setLevel(logging.ERROR)
        library = self._backend.library()
        existing = Zone(f"{zone}.", [])
        library.populate(existing, target=True, lenient=True)
        known = {(entry.name or APEX, entry._type): entry for entry in existing.records}
        changes: list[Any] = []
        for name, entries in desired.items():
            self._refuse(name, entries, before.get(name), known.get(name), library)
            new = self._record(existing, name, entries) if entries else None
            if name not in before:
                changes.append(Create(new))
            else:
                changes.append(Update(known[name], new) if new else Delete(known[name]))
        for phase in [changes] if self._backend.atomic else phases(changes, (Update, Create, Delete)):
            library.apply(Plan(existing, Zone(f"{zone}.", []), phase, True))

    def _refuse(self, name: RrsetName, entries: list[Record], before: Rrset | None, known: Any, library: Any) -> None:
        """Raise `TailwartError` for a record set that the library would not write faithfully."""
        obstacle = before.obstacle if before else ""
        if not obstacle and (odd := [entry for entry in entries if entry.locked]):
            obstacle = f"it holds a value that is none of a {name[1]} record: {odd[0].value[:60]}"
        if not obstacle and (name[1] not in library.SUPPORTS or (before and known is None)):
            obstacle = f"octoDNS does not write {name[1]} records there"
        if not obstacle and name[1] == "TXT":
            for entry in entries:
                try:
                    self._backend.text(entry.value)
                except ValueError as error:
                    obstacle = f"octoDNS would not write {entry.value[:60]!r} as it is: {error}"
        if obstacle:
            raise TailwartError(
                f"{name[0]} {name[1]} cannot be changed at {self.label}; nothing was written",
                seen=obstacle,
                remedy=f'change that record set by hand, or leave it alone: dns_exclude = ["{name[0]} {name[1]}"] in '
                "group_data/dns.py",
            )

    def _record(self, zone: Any, name: RrsetName, entries: list[Record]) -> Any:
        from octodns.record import Record as LibraryRecord  # noqa: PLC0415
        from octodns.record.rr import Rrset as LibraryRrset  # noqa: PLC0415

        owner, rtype = name
        ttl = entries[0].ttl
        label = "" if owner == APEX else owner
        if rtype == "TXT":
            data = {"type": rtype, "ttl": ttl, "values": [self._backend.text(entry.value) for entry in entries]}
            return LibraryRecord.new(zone, label, data, lenient=True)
        fqdn = f"{label}.{zone.name}" if label else zone.name
        rrset = LibraryRrset(fqdn, rtype, ttl, [_unspaced(entry) for entry in entries])
        return LibraryRecord.from_rrset(zone, rrset, lenient=True)

    def _failure(self, error: Exception, zone: str, verb: str) -> TailwartError:
        status = self._status(error)
        seen = f"{type(error).__name__}: {error}"
        for secret in self._backend.secrets:
            seen = seen.replace(secret, MASK)
        if status in {401, 403}:
            return TailwartError(
                f"{self.label} refused the key: the zone {zone} cannot be {verb}",
                seen=seen,
                expected="a key that may read and change the zone from this machine's address",
                lesson=2,
                remedy=self._backend.access,
            )
        if status == 404:
            return TailwartError(
                f"{self.label} does not know the zone {zone}",
                seen=seen,
                remedy=f"check DOMAIN and EXTRA_DOMAINS, and that {zone} is in this account",
            )
        if status == 429:
            return TailwartError(f"{self.label}'s rate limit is reached", seen=seen, remedy="run again later")
        refused = status is not None and status < 500
        return TailwartError(
            f"{self.label}: the zone {zone} cannot be {verb}",
            seen=seen,
            remedy="correct the record that is named"
            if refused
            else f"check the network from here to {self._backend.host}, then run again: what was written stands",
        )

    def _status(self, error: Exception) -> int | None:
        known = self._backend.statuses
        for name in (str(getattr(error, "code", "")), *(each.__name__ for each in type(error).__mro__)):
            if name in known:
                return known[name]
        response = getattr(error, "response", None)
        if isinstance(response, Mapping):  # botocore
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        else:
            status = getattr(response, "status_code", None)
        return int(status) if status else None


def records_of(rrset: Rrset, zone: str) -> Iterator[Record]:
    """The records of a listed set; one that DNS does not know keeps what was listed as JSON, and is locked."""
    name = relative(rrset.owner, zone)
    for value in rrset.values:
        if (name, rrset.type) == (APEX, "CNAME"):
            # What a provider lists as a CNAME of the zone itself, it serves as addresses (RFC 1034 §3.6.2).
            yield Record(APEX, "ALIAS", json.dumps({"value": value}), rrset.ttl, locked=True)
            continue
        try:
            text = joined_text(value) if rrset.type == "TXT" else value
            entry = record(zone, name, rrset.type, text, rrset.ttl)
        except (TailwartError, ValueError, dns.exception.DNSException):
            yield Record(name, rrset.type, json.dumps({"value": value}), rrset.ttl, locked=True)
            continue
        yield Record(entry.name, entry.type, entry.value, rrset.ttl, locked=bool(rrset.obstacle))


def joined_text(presentation: str) -> str:
    """The text of a TXT value: its strings unquoted, unescaped (RFC 1035 §5.1) and joined; unquoted text as it is."""
    if not presentation.startswith('"'):
        return presentation
    tokenizer = dns.tokenizer.Tokenizer(presentation)
    octets = b""
    while not (token := tokenizer.get()).is_eol_or_eof():
        octets += bytes(token.unescape_to_bytes().value)
    return octets.decode("utf-8", "surrogateescape")


def phases(changes: Sequence[Any], order: tuple[type, type, type]) -> Iterator[list[Any]]:
    """Changes in the order that is safe where each is published by itself: what is new first, what goes last.

    Only where a CNAME gives way to other data or takes its place, the old has to go first: both cannot stand at one
    name (RFC 1034 §3.6.2).
    """
    update, create, delete = order
    at: dict[str, list[Any]] = defaultdict(list)
    for change in changes:
        at[change.record.name].append(change)
    swapped = {
        name
        for name, here in at.items()
        if any(isinstance(change, delete) for change in here)
        and any(isinstance(change, create) for change in here)
        and any(change.record._type == "CNAME" for change in here)
    }
    others = [change for change in changes if change.record.name not in swapped]
    yield from filter(None, ([c for c in others if isinstance(c, kind)] for kind in (create, update)))
    for name in sorted(swapped):
        yield sorted(at[name], key=lambda change: not isinstance(change, delete))
    if gone := [change for change in others if isinstance(change, delete)]:
        yield gone


def _after(
    name: RrsetName, before: Rrset | None, zone: str, puts: list[Record], deletes: list[Record]
) -> list[Record] | None:
    """A record set after the change, empty when it goes; None when it already is so."""
    current = {entry.value: entry for entry in (records_of(before, zone) if before else ())}
    after = {value: entry for value, entry in current.items() if entry.key not in {gone.key for gone in deletes}}
    added = {entry.value: entry for entry in puts if entry.rrset == name}
    after |= added
    # A record set has one TTL (RFC 2181 §5.2).
    ttl = max((entry.ttl for entry in added.values()), default=before.ttl if before else 0)
    if after.keys() == current.keys() and (before is None or ttl == before.ttl):
        return None
    return [entry.with_ttl(ttl) for entry in after.values()]


def _unspaced(entry: Record) -> str:
    """Presentation text in which the hexadecimal digits of TLSA are one word, as octoDNS reads them."""
    if entry.type != "TLSA":
        return entry.value
    usage, selector, matching, digits = entry.value.split(None, 3)
    return f"{usage} {selector} {matching} {digits.replace(' ', '')}"
