"""BIND zone text in and out: Stalwart's `dnsZoneFile` as records, records as text for any other provider."""

from __future__ import annotations

from collections.abc import Iterable

import dns.exception
import dns.name
import dns.rdataclass
import dns.rrset
import dns.tokenizer
import dns.zonefile

from tailwart.errors import TailwartError
from tailwart.providers.record import APEX, Record, absolute, from_rdata, to_rdata


def parse(text: str, zone: str, default_ttl: int) -> tuple[Record, ...]:
    """The records of a zone file that lie in ``zone``, in the order of the file.

    Stalwart's text has neither SOA nor NS nor TTLs, which is no complete zone: it is read as a list of record sets.
    Raises `TailwartError` with the line when it is not RFC 1035 text.
    """
    origin = absolute(APEX, zone)
    try:
        rrsets = _rrsets(text, origin, default_ttl)
    except (dns.exception.DNSException, ValueError) as error:
        raise TailwartError(
            f"the zone file of {zone} cannot be read",
            seen=f"{type(error).__name__}: {error}",
            expected="RFC 1035 master file text, as x:Domain/get dnsZoneFile gives it",
            remedy="read the text with `tailwart dns zonefile --raw`; restart Stalwart if it is cut off",
        ) from error
    return tuple(
        from_rdata(zone, rrset.name, rdata, rrset.ttl)
        for rrset in rrsets
        if rrset.name.is_subdomain(origin)
        for rdata in rrset
    )


def render(records: Iterable[Record], zone: str) -> str:
    """Zone file text: sorted, one record a line, absolute names, TXT cut at 255 octets."""
    ordered = sorted(records, key=lambda entry: (_labels(entry, zone), entry.type, entry.value))
    return "\n".join([f"$ORIGIN {zone}.", *(line(entry, zone) for entry in ordered)]) + "\n"


def line(entry: Record, zone: str) -> str:
    """One record as a line of a zone file, its name absolute."""
    owner = absolute(entry.name, zone).to_text()
    return f"{owner} {entry.ttl} IN {entry.type} {to_rdata(entry, zone).to_text(relativize=False)}"


def _rrsets(text: str, origin: dns.name.Name, default_ttl: int) -> list[dns.rrset.RRset]:
    # The library's own `read_rrsets` knows no directives, which a hand-written or newer text may have; a whole zone
    # object would silently drop data beside a CNAME. $INCLUDE and $GENERATE stay forbidden.
    manager = dns.zonefile.RRSetsReaderManager(origin)
    with manager.writer(True) as transaction:  # type: ignore[no-untyped-call]  # dnspython leaves it unannotated
        dns.zonefile.Reader(
            dns.tokenizer.Tokenizer(text, "zone file"),
            dns.rdataclass.IN,
            transaction,
            allow_directives={"$ORIGIN", "$TTL"},
            default_ttl=default_ttl,
        ).read()
    return manager.rrsets


def _labels(entry: Record, zone: str) -> tuple[bytes, ...]:
    return tuple(reversed(absolute(entry.name, zone).labels))
