"""One resource record in a canonical form, so that equal records compare equal whoever wrote them down.

Names are relative to the zone and lower case (RFC 4343), ``@`` for the apex. Values are RFC 1035 presentation text
with absolute lower-case names, except TXT, whose value is the joined text: where the 255-octet strings of a TXT record
are cut carries no meaning to SPF, DKIM or DMARC (RFC 7208 §3.3, RFC 6376 §3.6.2.2), and providers cut differently.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import accumulate

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TXT
from dns.rdtypes.txtbase import TXTBase

from tailwart.errors import TailwartError

APEX = "@"
GENERATED = frozenset(
    {"SOA", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY", "ZONEMD", "TYPE65534"}
)
"""Types that an authoritative server makes by itself (the last is BIND's note on signing): neither read nor written."""

Key = tuple[str, str, str]


@dataclass(frozen=True, order=True, slots=True)
class Record:
    """A record of the zone. ``locked`` marks what only the provider itself can change.

    ``cuts`` are the lengths of a TXT value's strings where they are cut otherwise than `strings` does. They carry no
    meaning, so they do not make two records differ; a restore brings them back where the provider has them.
    """

    name: str
    type: str
    value: str
    ttl: int = 3600
    locked: bool = False
    cuts: tuple[int, ...] = field(default=(), compare=False)

    @property
    def key(self) -> Key:
        """What makes a record itself: a different TTL is the same record, a different value is another one."""
        return (self.name, self.type, self.value)

    @property
    def rrset(self) -> tuple[str, str]:
        """Name and type."""
        return (self.name, self.type)

    @property
    def is_dns(self) -> bool:
        """Whether DNS knows it; a provider's own inventions (ALIAS) keep the provider's JSON as their value."""
        return (self.type == "TXT" and not self.locked) or not self.value.startswith("{")

    def with_ttl(self, ttl: int) -> Record:
        """The same record with another time to live, in seconds."""
        return replace(self, ttl=ttl)

    def __str__(self) -> str:
        value = self.value if len(self.value) <= 100 else f"{self.value[:60]}…{self.value[-20:]}"
        return f"{self.name} {self.type} {value}"


def record(zone: str, name: str, rtype: str, text: str, ttl: int) -> Record:
    """A record from presentation text (a TXT value unquoted and in one piece); names without final dot are relative.

    Raises `TailwartError` when the value is not one of that type.
    """
    rtype = rtype.upper()
    if rtype == "TXT":
        return Record(relative(name, zone), rtype, text, ttl)
    try:
        rdata = dns.rdata.from_text(
            dns.rdataclass.IN, dns.rdatatype.from_text(rtype), text, origin=absolute(APEX, zone), relativize=False
        )
        owner = absolute(name, zone)
    except (dns.exception.DNSException, ValueError) as error:
        raise TailwartError(
            f"{name} {rtype}: not a value of this type", seen=text, expected=str(error) or type(error).__name__
        ) from error
    return from_rdata(zone, owner, rdata, ttl)


def from_rdata(zone: str, owner: dns.name.Name, rdata: dns.rdata.Rdata, ttl: int) -> Record:
    """A record from what a zone parser or a name server returned."""
    name = relative(owner.to_text(), zone)
    rtype = dns.rdatatype.to_text(rdata.rdtype)
    if isinstance(rdata, TXTBase) and rtype == "TXT":
        text = b"".join(rdata.strings).decode("utf-8", "surrogateescape")
        cuts = () if list(rdata.strings) == strings(text) else tuple(len(part) for part in rdata.strings)
        return Record(name, rtype, text, ttl, cuts=cuts)
    return Record(name, rtype, _canonical(rdata).to_text(), ttl)


def to_rdata(entry: Record, zone: str) -> dns.rdata.Rdata:
    """The record's data for the wire; TXT cut into strings of at most 255 octets (RFC 1035 §3.3)."""
    if entry.type == "TXT":
        return dns.rdtypes.ANY.TXT.TXT(dns.rdataclass.IN, dns.rdatatype.TXT, _cut(entry))
    return dns.rdata.from_text(
        dns.rdataclass.IN,
        dns.rdatatype.from_text(entry.type),
        entry.value,
        origin=absolute(APEX, zone),
        relativize=False,
    )


def strings(text: str) -> list[bytes]:
    """The octets of a TXT value in strings of at most 255, never cut inside a UTF-8 sequence."""
    octets = text.encode("utf-8", "surrogateescape")
    parts = []
    while octets:
        end = min(255, len(octets))
        while end > 252 and end < len(octets) and octets[end] & 0xC0 == 0x80:
            end -= 1
        parts.append(octets[:end])
        octets = octets[end:]
    return parts or [b""]


def _cut(entry: Record) -> list[bytes]:
    octets = entry.value.encode("utf-8", "surrogateescape")
    if not entry.cuts or sum(entry.cuts) != len(octets) or not all(0 <= length <= 255 for length in entry.cuts):
        return strings(entry.value)
    ends = list(accumulate(entry.cuts))
    return [octets[end - length : end] for end, length in zip(ends, entry.cuts, strict=True)]


def absolute(name: str, zone: str) -> dns.name.Name:
    """The absolute name of a relative one (one with a final dot stays what it is)."""
    origin = dns.name.from_text(zone)
    return origin if name == APEX else dns.name.from_text(name, origin)


def fqdn(name: str, zone: str) -> str:
    """The whole name of a relative one, without a final dot."""
    return zone if name == APEX else name.rstrip(".") if name.endswith(".") else f"{name}.{zone}"


def relative(name: str, zone: str) -> str:
    """The name relative to the zone, lower case, ``@`` for the apex; a name without a final dot is relative already.

    A name outside the zone keeps its final dot.
    """
    name = name.lower()
    if name in {"", APEX}:
        return APEX
    if not name.endswith("."):
        return name
    origin = f"{zone.lower().rstrip('.')}."
    return APEX if name == origin else name.removesuffix(f".{origin}")


def by_key(records: Iterable[Record]) -> dict[Key, Record]:
    """Records by what makes them themselves."""
    return {entry.key: entry for entry in records}


def _canonical(rdata: dns.rdata.Rdata) -> dns.rdata.Rdata:
    """Names inside the data in lower case (RFC 4034 §6.2): they compare without case (RFC 4343)."""
    wire = rdata.to_digestable()
    return dns.rdata.from_wire(rdata.rdclass, rdata.rdtype, wire, 0, len(wire))
