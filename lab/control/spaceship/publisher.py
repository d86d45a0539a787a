"""A zone on a real authoritative server: read by AXFR, changed by RFC 2136, both signed with TSIG (RFC 8945)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.tsigkeyring
import dns.update
import dns.xfr
import dns.zone

#: A record of a zone: owner relative to it, and data. Its TTL is the value in :data:`Records`.
Record = tuple[dns.name.Name, dns.rdata.Rdata]
Records = Mapping[Record, int]

#: An update must fit into one TCP message of 64 KiB.
_CHANGES_IN_ONE_UPDATE = 200


class PublishError(Exception):
    """The name server refused the change or did not answer."""


class Publisher(Protocol):
    """The server of a registry's zones. Every method raises `PublishError`."""

    def serial(self, zone: str) -> int:
        """The serial of the zone's SOA."""

    def records(self, zone: str) -> dict[Record, int]:
        """All records of the zone with their TTL in seconds."""

    def change(self, zone: str, removed: Iterable[Record], added: Records) -> None:
        """Remove and add records; those of one name together, so that no reader sees a name half changed."""


class NameServer:
    """`key` is (name, algorithm, secret in base64); `timeout` seconds bound one query or change."""

    def __init__(self, address: str, port: int, key: tuple[str, str, str], timeout: float = 5.0) -> None:
        self._timeout = timeout
        self._address, self._port = address, port
        name, algorithm, secret = key
        self._keyring = dns.tsigkeyring.from_text({name: (algorithm, secret)})

    def serial(self, zone: str) -> int:
        query = dns.message.make_query(zone, dns.rdatatype.SOA)
        try:
            answer = dns.query.udp(query, self._address, self._timeout, self._port)
        except (OSError, dns.exception.DNSException) as error:
            raise PublishError(f"SOA of {zone} at {self._address}: {error}") from error
        if not answer.answer:
            raise PublishError(f"{self._address} is not authoritative for {zone}: {dns.rcode.to_text(answer.rcode())}")
        return int(answer.answer[0][0].serial)

    def records(self, zone: str) -> dict[Record, int]:
        origin = dns.name.from_text(zone)
        found = dns.zone.Zone(origin, relativize=False)
        query, _ = dns.xfr.make_query(found, keyring=self._keyring)
        try:
            dns.query.inbound_xfr(self._address, found, query, self._port, lifetime=30)
        except (OSError, dns.exception.DNSException) as error:
            raise PublishError(f"transfer of {zone} from {self._address}: {error}") from error
        return {(name.relativize(origin), data): ttl for name, ttl, data in found.iterate_rdatas()}

    def change(self, zone: str, removed: Iterable[Record], added: Records) -> None:
        for some_removed, some_added in _portions(removed, added):
            update = dns.update.UpdateMessage(zone, keyring=self._keyring)
            for name, data in some_removed:
                update.delete(name, data)
            for (name, data), ttl in some_added.items():
                update.add(name, ttl, data)
            try:
                answer = dns.query.tcp(update, self._address, self._timeout, self._port)
            except (OSError, dns.exception.DNSException) as error:
                raise PublishError(f"update of {zone} at {self._address}: {error}") from error
            if answer.rcode() != dns.rcode.NOERROR:
                raise PublishError(f"update of {zone} refused: {dns.rcode.to_text(answer.rcode())}")


def _portions(removed: Iterable[Record], added: Records) -> Iterator[tuple[list[Record], dict[Record, int]]]:
    """Both sides cut into messages; all changes of one owner name stay in one, so that no name is ever half changed."""
    by_owner: dict[dns.name.Name, tuple[list[Record], dict[Record, int]]] = {}
    for record in removed:
        by_owner.setdefault(record[0], ([], {}))[0].append(record)
    for record, ttl in added.items():
        by_owner.setdefault(record[0], ([], {}))[1][record] = ttl
    removing: list[Record] = []
    adding: dict[Record, int] = {}
    for gone, new in by_owner.values():
        if len(removing) + len(adding) + len(gone) + len(new) > _CHANGES_IN_ONE_UPDATE and (removing or adding):
            yield removing, adding
            removing, adding = [], {}
        removing += gone
        adding |= new
    if removing or adding:
        yield removing, adding
