"""Knot with writable zones, for tests: real authoritative DNS on a loopback port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from tests.daemons import free_port, program, running
from tests.waiting import until

KEY_NAME = "tailwart"
KEY_ALGORITHM = "hmac-sha256"
KEY_SECRET = "c2VjcmV0LW9mLXRoZS10ZXN0cy1vbmx5LTMyLW9jdGV0cyE="
ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class Served:
    """A running name server on the loopback address."""

    port: int

    @property
    def nameserver(self) -> str:
        """As DNS_NAMESERVERS takes it."""
        return f"{ADDRESS}:{self.port}"

    def texts(self, name: str) -> list[str]:
        """The TXT records that the server serves at an absolute name."""
        return [b"".join(rdata.strings).decode() for rdata in self.rdatas(name, "TXT")]

    def values(self, name: str, rtype: str) -> list[str]:
        """The data of a record set, sorted."""
        return sorted(rdata.to_text() for rdata in self.rdatas(name, rtype))

    def rdatas(self, name: str, rtype: str, timeout: float = 5) -> list[Any]:
        """One question, one answer, no cache."""
        query = dns.message.make_query(name, rtype)
        answer, _ = dns.query.udp_with_fallback(query, ADDRESS, port=self.port, timeout=timeout)
        wanted = dns.rdatatype.from_text(rtype)
        return [rdata for rrset in answer.answer if rrset.rdtype == wanted for rdata in rrset]


@dataclass(frozen=True)
class Knot(Served):
    """A running Knot and the zones it is primary for."""

    zones: tuple[str, ...]


@contextmanager
def serving(directory: Path, zones: tuple[str, ...]) -> Iterator[Knot]:
    """Knot for the time of the block, every zone empty but for SOA and NS."""
    binary = program("knotd", "apt-get install knot")
    port = free_port()
    (directory / "zones").mkdir()
    for zone in zones:
        (directory / "zones" / f"{zone}.zone").write_text(
            f"$ORIGIN {zone}.\n$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 300\n@ NS ns\nns A 127.0.0.1\n"
        )
    listed = "\n".join(f"  - domain: {zone}" for zone in zones)
    config = directory / "knot.conf"
    config.write_text(f"""\
server:
    rundir: {directory}
    listen: [ {ADDRESS}@{port} ]
    udp-workers: 1
    tcp-workers: 1
    tcp-io-timeout: 10000
    background-workers: 1
key:
  - id: {KEY_NAME}
    algorithm: {KEY_ALGORITHM}
    secret: {KEY_SECRET}
acl:
  - id: write
    key: {KEY_NAME}
    action: [ transfer, update ]
database:
    storage: {directory}
template:
  - id: default
    storage: {directory}/zones
    file: "%s.zone"
    acl: write
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
{listed}
""")
    with running([binary, "--config", str(config)], directory / "knot.log"):
        knot = Knot(port, zones)
        until(lambda: _answers(knot, zones[-1]), f"knot, see {directory}/knot.log", seconds=20, pause=0.05)
        yield knot


def _answers(knot: Knot, zone: str) -> bool:
    try:
        return bool(knot.rdatas(zone, "SOA", timeout=0.2))
    except OSError:
        return False
    except dns.exception.Timeout:
        return False
