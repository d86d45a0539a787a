"""A certificate authority (Pebble) and a name server (Knot) inside a test's namespace."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from lab import pki, programs
from tests.contract.namespace import Namespace
from tests.daemons import running
from tests.waiting import until

TSIG = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="
DIRECTORY = "https://127.0.0.1:14000/dir"

_KNOT = """
server:
    listen: 127.0.0.1@53
    rundir: {home}
database:
    storage: {home}
log:
  - target: stderr
    any: warning
key:
  - id: lab.
    algorithm: hmac-sha256
    secret: {secret}
acl:
  - id: update
    action: update
    key: lab.
zone:
  - domain: example.org
    storage: {home}
    file: example.org.zone
    acl: update
"""
_ZONE = """$ORIGIN example.org.
$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
"""


@contextmanager
def _process(space: Namespace, home: Path, *command: str | Path, **variables: str) -> Iterator[None]:
    log = home / f"{Path(command[0]).name}.log"
    with running(space.command(*command), log, {**os.environ, **variables}):
        yield


def _listening(space: Namespace, port: int) -> bool:
    try:
        space.connect(port, timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def authority(space: Namespace, home: Path) -> Iterator[Path]:
    """Pebble on 14000 and Knot on 53; yields the CA certificate that Pebble's own one is signed by."""
    knot = shutil.which("knotd", path=f"{os.environ['PATH']}:/usr/sbin")
    if knot is None:
        pytest.skip("needs Knot: apt-get install knot")
    programs.ensure([programs.PEBBLE])
    issuer = pki.authority(home)
    pki.ensure_certificate(issuer, home, "pebble", ["127.0.0.1"])
    (home / "example.org.zone").write_text(_ZONE)
    (home / "knot.conf").write_text(_KNOT.format(home=home, secret=TSIG))
    pebble = {
        "listenAddress": "127.0.0.1:14000",
        "managementListenAddress": "127.0.0.1:15000",
        "certificate": str(home / "pebble.crt"),
        "privateKey": str(home / "pebble.key"),
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
    }
    (home / "pebble.json").write_text(json.dumps({"pebble": pebble}))
    with ExitStack() as stack:
        stack.enter_context(_process(space, home, knot, "-c", home / "knot.conf"))
        stack.enter_context(
            _process(
                space, home, programs.binary("pebble"), "-config", home / "pebble.json", "-dnsserver", "127.0.0.1:53",
                PEBBLE_VA_NOSLEEP="1", PEBBLE_WFE_NONCEREJECT="0",
                # A reused authorisation would renew without looking at the zone.
                PEBBLE_AUTHZREUSE="0",
            )
        )  # fmt: skip
        until(lambda: _listening(space, 14000) and _listening(space, 53), "Pebble and Knot", pause=0.2)
        space.ask("127.0.0.1")
        yield home / "ca.crt"
