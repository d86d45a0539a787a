"""A small world of name servers for tests: zones of any text, signed or not, on loopback ports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dns.dnssec
import dns.exception
import dns.name

from tailwart.dns.authority import Server
from tests.daemons import free_port, program, running
from tests.unit.dns.names import ADDRESS, Served
from tests.waiting import until

SOA = "$TTL 300\n@ SOA ns hostmaster {serial} 3600 600 86400 300\n"


def zone_file(records: str, serial: int = 1) -> str:
    """A zone's text; `@` and relative names are the zone's."""
    return SOA.format(serial=serial) + records + "\n"


@contextmanager
def serving_texts(directory: Path, zones: Mapping[str, str], signed: Iterable[str] = ()) -> Iterator[Served]:
    """Knot with these zone texts for the time of the block; it signs those that are named in ``signed``."""
    binary = program("knotd", "apt-get install knot")
    port = free_port()
    directory.mkdir(parents=True, exist_ok=True)
    for zone, text in zones.items():
        (directory / f"{zone}.zone").write_text(f"$ORIGIN {zone}.\n{text}")
    sign = set(signed)
    listed = "\n".join(
        f"  - domain: {zone}\n" + ("    dnssec-signing: on\n    dnssec-policy: short\n" if zone in sign else "")
        for zone in zones
    )
    config = directory / "knot.conf"
    config.write_text(f"""\
server:
    rundir: {directory}
    listen: [ {ADDRESS}@{port} ]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {directory}
policy:
  - id: short
    algorithm: ecdsap256sha256
    single-type-signing: on
template:
  - id: default
    storage: {directory}
    file: "%s.zone"
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
{listed}
""")
    with running([binary, "--config", str(config)], directory / "knot.log"):
        served = Served(port)
        until(
            lambda: all(_ready(served, zone, signed=zone in sign) for zone in zones),
            f"knot, see {directory}/knot.log",
            seconds=20,
            pause=0.05,
        )
        yield served


def server(served: Served, label: str = "") -> Server:
    """A name server of the test as the checks know it."""
    return Server(label or served.nameserver, ADDRESS, served.port)


def ds(served: Served, zone: str) -> str:
    """The DS record of a signed zone, for its parent."""
    (key,) = served.rdatas(zone, "DNSKEY")
    return dns.dnssec.make_ds(dns.name.from_text(zone), key, "SHA256").to_text()


def _ready(served: Served, zone: str, *, signed: bool) -> bool:
    try:
        return bool(served.rdatas(zone, "DNSKEY" if signed else "SOA", timeout=0.2))
    except (OSError, dns.exception.DNSException):
        return False
