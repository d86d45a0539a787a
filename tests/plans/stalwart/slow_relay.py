"""A relay that takes its time: a message is only taken when the test says so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

from tests.contract.namespace import OUTSIDE, Namespace

PORT = 2587


class SlowRelay(ThreadingTCPServer):
    """`begun` counts the messages whose text has come, `taken` those that were taken; `may_end` lets go of them."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        self.begun = 0
        self.taken = 0
        self.may_end = threading.Event()
        super().__init__((OUTSIDE, PORT), _Session)


class _Session(StreamRequestHandler):
    def handle(self) -> None:
        relay: Any = self.server
        self._say("220 relay.example.net")
        for line in self.rfile:
            word = line.strip().upper()[:4]
            if word == b"QUIT":
                self._say("221 2.0.0 bye")
                return
            if word != b"DATA":
                self._say("250 relay.example.net")
                continue
            self._say("354 go on")
            for text in self.rfile:
                if text == b".\r\n":
                    break
            relay.begun += 1
            relay.may_end.wait(120)
            try:
                self._say("250 2.0.0 taken")
            except OSError:
                return
            relay.taken += 1

    def _say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")


@contextmanager
def slow_relay(space: Namespace) -> Iterator[SlowRelay]:
    """The relay on OUTSIDE for the time of the block."""
    with space.entered():
        server = SlowRelay()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.may_end.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
