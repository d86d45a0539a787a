"""Two edges before one mailbox, one of which stops in the middle of a stream of mail from one sender's queue."""

from __future__ import annotations

import re
import smtplib
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tailwart.edge.caddy_config import EdgeRoutes
from tailwart.network import SMTP
from tests.daemons import free_port
from tests.templates.edge.loopback import PROXY_V2, Edge

HOST = "stalwart.tail1234.ts.net"
MESSAGES = 2000
SENDERS = 8
_NUMBER = re.compile(rb"number (\d+)")


class _Session(socketserver.StreamRequestHandler):
    """A mail server that takes every message, and only from an edge that says who the client is."""

    server: Mailbox

    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        assert self.rfile.read(12) == PROXY_V2
        self.rfile.read(int.from_bytes(self.rfile.read(4)[2:], "big"))
        while line := self.rfile.readline():
            if line.upper().startswith(b"DATA"):
                self.wfile.write(b"354 go on\r\n")
                self._message()
            else:
                self.wfile.write(b"250 fine\r\n")

    def _message(self) -> None:
        number = -1
        while line := self.rfile.readline():
            if found := _NUMBER.search(line):
                number = int(found[1])
            if line == b".\r\n":
                # From here on the message is the server's, whether the answer arrives or not.
                self.server.stored.append(number)
                self.wfile.write(b"250 stored\r\n")
                return


class Mailbox(socketserver.ThreadingTCPServer):
    """What has been stored, in order."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.stored: list[int] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """An edge that stops ends its connections: nothing to report."""


@dataclass
class Queue:
    """A sender's messages: each is offered to the edges in turn until a server has accepted it."""

    doors: list[int]
    left: list[int] = field(default_factory=lambda: list(range(MESSAGES)))
    retried: set[int] = field(default_factory=set)
    unsure: set[int] = field(default_factory=set)
    """Sent again although the server may have it: the answer to the whole message was lost (RFC 5321 §4.2.5, §6.1)."""
    third: threading.Event = field(default_factory=threading.Event)

    def work(self, turn: int) -> None:
        session: smtplib.SMTP | None = None
        while True:
            try:
                number = self.left.pop()
            except IndexError:
                break
            while True:
                whole = False
                try:
                    if session is None:
                        turn += 1
                        session = smtplib.SMTP("127.0.0.1", self.doors[turn % len(self.doors)], "sender", timeout=30)
                    session.mail("friend@outside.test")
                    session.rcpt("alice@example.org")
                    if session.docmd("DATA")[0] == 354:
                        whole = True
                        session.send(f"Subject: number {number}\r\n\r\nhello\r\n.\r\n")
                        if session.getreply()[0] == 250:
                            break
                except (OSError, smtplib.SMTPException):
                    session = None
                    self.retried.add(number)
                    if whole:
                        self.unsure.add(number)
            if len(self.left) <= MESSAGES * 2 // 3:
                self.third.set()
        if session is not None:
            session.close()


@contextmanager
def serving() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        threading.Thread(target=mailbox.serve_forever, daemon=True).start()
        yield mailbox
        mailbox.shutdown()


def test_every_accepted_message_arrives_once_or_is_sent_again_by_its_sender(caddy: Path, tmp_path: Path) -> None:
    with serving() as mailbox, ExitStack() as stays, ExitStack() as stops:
        doors = []
        for name, stack in (("edge-1", stays), ("edge-2", stops)):
            (tmp_path / name).mkdir()
            port = free_port()
            edge = Edge(caddy, tmp_path / name, {SMTP.port: port}, {f"{HOST}:25": mailbox.server_address[1]})
            edge.write(EdgeRoutes(HOST, ("example.org",), https=False, services=(SMTP,)))
            stack.enter_context(edge.running())
            doors.append(port)
        queue = Queue(doors)
        threads = [threading.Thread(target=queue.work, args=(number,)) for number in range(SENDERS)]
        for thread in threads:
            thread.start()
        assert queue.third.wait(60)
        stops.close()
        for thread in threads:
            thread.join(120)
    copies = Counter(mailbox.stored)
    assert queue.retried, "the edge stopped while messages went through it"
    assert set(copies) == set(range(MESSAGES)), "a message that was accepted is lost"
    assert {number for number, count in copies.items() if count > 1} <= queue.unsure
