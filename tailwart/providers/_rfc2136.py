"""Your own primary name server: dynamic updates (RFC 2136) signed with TSIG (RFC 8945), the zone read by transfer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import dns.xfr
import dns.zone

from tailwart.errors import TailwartError
from tailwart.providers.record import APEX, Record, absolute, from_rdata, to_rdata

TIMEOUT = 10.0
"""Seconds to wait for an answer, and for each part of a transfer."""
TRANSFER = 60.0
"""Seconds of a whole transfer."""
_MESSAGE = 300
"""Records in one update, far below the 64 KiB of a TCP message even for long TXT records."""


def tsig_key(name: str, secret: str, algorithm: str) -> dns.tsig.Key:
    """A TSIG key. Raises `TailwartError` when the secret is not base64."""
    try:
        return dns.tsig.Key(name, secret, algorithm)
    except (dns.exception.DNSException, ValueError):
        raise TailwartError(
            "RFC2136_KEY cannot be read",
            expected="the secret of the TSIG key in base64, as `keymgr -t` or `tsig-keygen` prints it",
        ) from None


class Rfc2136:
    """`Provider` over DNS itself. One update message is one change of the zone: nobody sees a half of it."""

    label = "RFC 2136"

    def __init__(self, server: str, port: int, key: dns.tsig.Key) -> None:
        self._server = server
        self._port = port
        self._key = key
        self.nameservers: tuple[str, ...] = (f"[{server}]:{port}" if ":" in server else f"{server}:{port}",)

    def read(self, zone: str) -> tuple[Record, ...]:
        """The zone by AXFR."""
        content = dns.zone.Zone(absolute(APEX, zone), relativize=False)
        query, _ = dns.xfr.make_query(content, keyring=self._key)
        try:
            dns.query.inbound_xfr(self._server, content, query, port=self._port, timeout=TIMEOUT, lifetime=TRANSFER)
        except (dns.exception.DNSException, OSError) as error:
            raise self._failure(f"the zone {zone} cannot be read from {self.nameservers[0]}", error) from error
        return tuple(
            from_rdata(zone, name, rdata, ttl)
            for name, ttl, rdata in content.iterate_rdatas()
            if rdata.rdtype not in {dns.rdatatype.SOA, dns.rdatatype.RRSIG, dns.rdatatype.NSEC, dns.rdatatype.NSEC3}
            and rdata.rdtype != dns.rdatatype.NSEC3PARAM
        )

    def change(self, zone: str, puts: Iterable[Record], deletes: Iterable[Record]) -> None:
        """One signed update for all of it; several for a very large change, each name whole in one of them."""
        changes = sorted(
            [(entry.name, False, entry) for entry in deletes] + [(entry.name, True, entry) for entry in puts],
            key=lambda change: change[:2],
        )
        for batch in _batches(changes):
            update = dns.update.UpdateMessage(absolute(APEX, zone), keyring=self._key)
            # The message is applied as one, so here the delete may come first. It has to where a CNAME gives way:
            # adding other data beside one is silently ignored (RFC 2136 §3.4.2.2).
            for put in (False, True):
                for _, is_put, entry in batch:
                    if is_put is put:
                        self._add(update, entry, zone, put)
            self._send(update, zone)

    def _add(self, update: dns.update.UpdateMessage, entry: Record, zone: str, put: bool) -> None:
        name, rdata = absolute(entry.name, zone), to_rdata(entry, zone)
        if put:
            update.add(name, entry.ttl, rdata)
        elif entry.type == "TXT":
            # The server compares octets, and its strings may be cut elsewhere than ours: take what stands there.
            for stored in self._stored(entry, zone):
                update.delete(name, stored)
        else:
            update.delete(name, rdata)

    def _stored(self, entry: Record, zone: str) -> list[dns.rdata.Rdata]:
        query = dns.message.make_query(absolute(entry.name, zone), entry.type)
        query.use_tsig(self._key)
        try:
            answer = dns.query.tcp(query, self._server, port=self._port, timeout=TIMEOUT)
        except (dns.exception.DNSException, OSError) as error:
            raise self._failure(f"{self.nameservers[0]} does not answer for {zone}", error) from error
        return [
            rdata
            for rrset in answer.answer
            for rdata in rrset
            if from_rdata(zone, rrset.name, rdata, entry.ttl).key == entry.key
        ]

    def _send(self, update: dns.update.UpdateMessage, zone: str) -> None:
        try:
            answer = dns.query.tcp(update, self._server, port=self._port, timeout=TIMEOUT)
        except (dns.exception.DNSException, OSError) as error:
            raise self._failure(f"the update of {zone} at {self.nameservers[0]} failed", error) from error
        if answer.rcode() != dns.rcode.NOERROR:
            raise TailwartError(
                f"{self.nameservers[0]} refused the update of {zone}",
                seen=dns.rcode.to_text(answer.rcode()),
                expected="NOERROR",
                remedy="allow the key RFC2136_KEY_NAME to update this zone (knot: acl action update; BIND: "
                "update-policy), and check that the server is its primary",
            )

    def _failure(self, what: str, error: Exception) -> TailwartError:
        """What to check; the texts of the library never hold the key."""
        if isinstance(error, dns.tsig.PeerBadTime):
            hint = "set both clocks: TSIG allows 300 s of difference"
        elif isinstance(error, (dns.tsig.PeerError, dns.tsig.BadSignature, dns.message.UnknownTSIGKey)):
            hint = "check RFC2136_KEY_NAME, RFC2136_KEY and RFC2136_ALGORITHM against the server's (lesson 2)"
        elif isinstance(error, dns.xfr.TransferError):
            hint = "allow the key to transfer the zone (knot: acl action transfer), and check that the server has it"
        else:
            hint = "check RFC2136_SERVER and RFC2136_PORT, and that TCP to it is not blocked"
        return TailwartError(what, seen=f"{type(error).__name__}: {error}", remedy=hint)


def _batches(changes: Sequence[tuple[str, bool, Record]]) -> Iterator[list[tuple[str, bool, Record]]]:
    batch: list[tuple[str, bool, Record]] = []
    for _, group in groupby(changes, key=lambda change: change[0]):
        batch += group
        if len(batch) >= _MESSAGE:
            yield batch
            batch = []
    if batch:
        yield batch
