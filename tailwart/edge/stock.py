"""One edge of a run gets the image built, the others get it from there: a copy costs no download and no build."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import cast

from paramiko import Channel
from pyinfra.api.command import QuoteString, StringCommand
from pyinfra.api.host import Host

from tailwart.connectors.arguments import connector_arguments
from tailwart.connectors.host import HostConnector
from tailwart.connectors.ssh import CONNECTION_ERRORS
from tailwart.runner import Runner

_CHUNK = 1 << 20
_COPY_SECONDS = 900


class Stock:
    """The images of one run, by reference and machine type. Each is built by the first edge that needs it."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)
        self._at: dict[tuple[str, str], Host] = {}

    def provide(self, host: Host, run: Runner, reference: str, build: Callable[[Runner], None]) -> None:
        """Let ``host`` have the image: its own, a copy of another edge's, or built by ``build``."""
        kind = (reference, run("uname -m").stdout.strip())
        with self._locks[kind]:
            if not _has(run, reference):
                source = self._at.get(kind)
                # Built here where the copy fails: what is wrong there need not be wrong here.
                if source is None or not copy(source, host, reference) or not _has(run, reference):
                    build(run)
            self._at.setdefault(kind, host)


def copy(source: Host, target: Host, reference: str) -> bool:
    """Stream an image from one host's engine to another's, through this machine; whether both ends were content."""
    out = _open(source, f"docker save {reference} | gzip -1")
    into = _open(target, "gzip -d | docker load >/dev/null 2>&1")
    end = time.monotonic() + _COPY_SECONDS
    try:
        for channel in (out, into):
            channel.settimeout(60)
        while data := out.recv(_CHUNK):
            into.sendall(data)
            if time.monotonic() > end:
                return False
        into.shutdown_write()
        return out.recv_exit_status() == 0 and into.recv_exit_status() == 0
    except CONNECTION_ERRORS:
        return False
    finally:
        out.close()
        into.close()


def _open(host: Host, script: str) -> Channel:
    words = StringCommand("sh", "-c", QuoteString(script))
    return cast("HostConnector", host.connector).open_channel(words, **connector_arguments(host))


def _has(run: Runner, reference: str) -> bool:
    return run(f"docker image inspect {reference} >/dev/null 2>&1", timeout=60).ok
