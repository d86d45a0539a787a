"""BIND with writable zones, for tests: one plain and one that it signs itself, on a loopback port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.exception

from tests.daemons import free_port, program, running
from tests.unit.dns.names import ADDRESS, KEY_ALGORITHM, KEY_NAME, KEY_SECRET, Served
from tests.waiting import until

_PLAIN = 'zone "{zone}" {{ type primary; file "{zone}.zone"; {rights} }};'
_SIGNED = 'zone "{zone}" {{ type primary; file "{zone}.zone"; dnssec-policy default; inline-signing yes; {rights} }};'
_RIGHTS = f"allow-update {{ key {KEY_NAME}; }}; allow-transfer {{ key {KEY_NAME}; }};"


@contextmanager
def serving(directory: Path, plain: tuple[str, ...], signed: tuple[str, ...]) -> Iterator[Served]:
    """BIND for the time of the block, every zone empty but for SOA and NS."""
    binary = program("named", "`apt-get install bind9`")
    port = free_port()
    for zone in (*plain, *signed):
        (directory / f"{zone}.zone").write_text(
            f"$ORIGIN {zone}.\n$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 300\n@ NS ns\nns A 127.0.0.1\n"
        )
    zones = [_PLAIN.format(zone=zone, rights=_RIGHTS) for zone in plain]
    zones += [_SIGNED.format(zone=zone, rights=_RIGHTS) for zone in signed]
    config = directory / "named.conf"
    listed = "\n".join(zones)
    config.write_text(f"""\
options {{
    directory "{directory}"; pid-file "{directory}/named.pid"; session-keyfile "{directory}/session.key";
    listen-on port {port} {{ {ADDRESS}; }}; listen-on-v6 {{ none; }};
    recursion no; notify no; dnssec-validation no;
}};
controls {{ }};
key {KEY_NAME} {{ algorithm {KEY_ALGORITHM}; secret "{KEY_SECRET}"; }};
{listed}
""")
    log = directory / "named.log"
    with running([binary, "-g", "-c", str(config), "-n", "1"], log):
        served = Served(port)

        def answers() -> bool:
            try:
                return all(served.rdatas(zone, "DNSKEY", timeout=1) for zone in signed) and bool(
                    served.rdatas((*plain, *signed)[0], "SOA", timeout=1)
                )
            except (OSError, dns.exception.DNSException):
                return False

        until(answers, f"BIND to serve and sign, see {log}", seconds=30, pause=0.05)
        yield served
