"""Your own primary name server: dynamic updates (RFC 2136) signed with TSIG (RFC 8945), the zone read by transfer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.tsig
import dns.xfr
import dns.zone

from tailwart.errors import TailwartError
from tailwart.providers._rfc2136_messages import Stored, messages
from tailwart.providers.record import APEX, GENERATED, Record, absolute, from_rdata

TIMEOUT = 10.0
"""Seconds to wait for an answer, and for each part of a transfer."""
TRANSFER = 60.0
"""Seconds of a whole transfer."""

_ATTEMPTS = 3
"""Transfers of a zone whose stream the server ends."""

# A stream that the server closes is an EOFError, and some damaged messages are a ValueError.
FAILURES = (dns.exception.DNSException, OSError, EOFError, ValueError)
_MOVED = {dns.rcode.YXDOMAIN, dns.rcode.YXRRSET, dns.rcode.NXRRSET, dns.rcode.NXDOMAIN}


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
    keeps_strings = True

    def __init__(self, server: str, port: int, key: dns.tsig.Key) -> None:
        self._server = server
        self._port = port
        self._key = key
        self.nameservers: tuple[str, ...] = (f"[{server}]:{port}" if ":" in server else f"{server}:{port}",)

    def read(self, zone: str) -> tuple[Record, ...]:
        """The zone by AXFR, without what the server makes by itself."""
        return tuple(entry for stored in self._stored(zone).values() for entry, _ in stored)

    def change(self, zone: str, puts: Iterable[Record], deletes: Iterable[Record]) -> None:
        """One signed update for all of it, several for a very large change; a name is split only if it fills one.

        Each carries as its condition what the record sets were when they were read a moment ago (RFC 2136 §2.4), so
        that a change of somebody else's in between is never overwritten.
        """
        for update in messages(zone, self._stored(zone), list(puts), list(deletes), self._key):
            self._send(update, zone)

    def _stored(self, zone: str) -> Stored:
        for attempt in range(_ATTEMPTS):
            content = dns.zone.Zone(absolute(APEX, zone), relativize=False)
            query, _ = dns.xfr.make_query(content, keyring=self._key)
            try:
                dns.query.inbound_xfr(self._server, content, query, port=self._port, timeout=TIMEOUT, lifetime=TRANSFER)
                break
            except FAILURES as error:
                # Knot ends a stream that is not read for half a second: a large zone on a busy machine.
                if not isinstance(error, EOFError) or attempt == _ATTEMPTS - 1:
                    raise self._failure(f"the zone {zone} cannot be read from {self.nameservers[0]}", error) from error
        found: Stored = defaultdict(list)
        for name, ttl, rdata in content.iterate_rdatas():
            if dns.rdatatype.to_text(rdata.rdtype) not in GENERATED:
                entry = from_rdata(zone, name, rdata, ttl)
                found[entry.rrset].append((entry, rdata))
        return found

    def _send(self, update: dns.message.Message, zone: str) -> None:
        try:
            answer = dns.query.tcp(update, self._server, port=self._port, timeout=TIMEOUT)
        except FAILURES as error:
            raise self._failure(f"the update of {zone} at {self.nameservers[0]} failed", error) from error
        if answer.rcode() in _MOVED:
            raise TailwartError(
                f"somebody else changed {zone} in this moment; that part of the change was not written",
                seen=f"{dns.rcode.to_text(answer.rcode())} from {self.nameservers[0]}",
                expected="the record sets as they were read just before",
                remedy="run again: it plans on what is there now",
            )
        if answer.rcode() != dns.rcode.NOERROR:
            raise TailwartError(
                f"{self.nameservers[0]} refused the update of {zone}",
                seen=dns.rcode.to_text(answer.rcode()),
                expected="NOERROR",
                remedy="look into the server's log: a limit (BIND: max-records-per-type), or a zone it cannot write"
                if answer.rcode() == dns.rcode.SERVFAIL
                else "allow the key RFC2136_KEY_NAME to update this zone (knot: acl action update; BIND: "
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
        elif isinstance(error, EOFError):
            hint = (
                "the server closed the connection: look into its log (Knot: tcp-io-timeout), then run again; what was "
                "written stands"
            )
        else:
            hint = "check RFC2136_SERVER and RFC2136_PORT, and that TCP to it is not blocked"
        return TailwartError(what, seen=f"{type(error).__name__}: {error}", remedy=hint)
