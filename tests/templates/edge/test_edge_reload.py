"""A reload under load: a thousand idle connections and a message of 25 MB that is under way."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

from tailwart.edge.caddy_config import EdgeRoutes
from tailwart.network import IMAP, SMTP
from tests.daemons import free_port
from tests.templates.edge.loopback import Edge
from tests.waiting import until

HOST = "stalwart.tail1234.ts.net"
ROUTES = EdgeRoutes(HOST, ("example.org",), https=False, services=(SMTP, IMAP))
IDLE = 1000
SIZE = 25_000_000
_HEADER = 28
"""Bytes of a PROXY header, version 2, for IPv4."""


class Mailbox:
    """Greets first, answers every line of an idle client, and counts what an upload brings."""

    def __init__(self) -> None:
        self.ports: dict[int, int] = {}
        self.received = 0

    async def imap(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK\n")
        await reader.readexactly(_HEADER)
        while await reader.readline():
            writer.write(b"a OK\n")

    async def smtp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\n")
        await reader.readexactly(_HEADER)
        while data := await reader.read(65536):
            self.received += len(data)
            if self.received >= SIZE:
                writer.write(b"250 accepted\n")

    @contextlib.contextmanager
    def running(self) -> Iterator[Mailbox]:
        loop = asyncio.new_event_loop()

        async def start() -> None:
            for service, talk in ((IMAP, self.imap), (SMTP, self.smtp)):
                server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=IDLE)
                self.ports[service.port] = server.sockets[0].getsockname()[1]

        loop.run_until_complete(start())
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)


async def clients(edge: Edge) -> tuple[int, str]:
    """How many idle connections still answer after the reload, and what became of the upload."""
    idle = [await asyncio.open_connection("127.0.0.1", edge.ports[IMAP.port]) for _ in range(IDLE)]
    for reader, _ in idle:
        assert await reader.readline() == b"* OK\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.ports[SMTP.port])
    assert await reader.readline() == b"220 ready\n"
    block = b"x" * 99_999 + b"\n"
    for sent in range(0, SIZE, len(block)):
        writer.write(block)
        await writer.drain()
        if sent == SIZE // 2:
            # In the middle of the message; it goes on while Caddy starts the new routes beside the old ones.
            edge.retry = "900ms"  # Caddy does not load anew what it has already
            edge.write(ROUTES)
            await asyncio.to_thread(edge.reload)
    accepted = (await asyncio.wait_for(reader.readline(), 60)).decode().strip()
    for _, each in idle:
        each.write(b"a NOOP\n")
    answers = [await asyncio.wait_for(each.readline(), 60) for each, _ in idle]
    for _, each in (*idle, (reader, writer)):
        each.close()
    return sum(answer == b"a OK\n" for answer in answers), accepted


def test_a_reload_loses_no_idle_connection_and_no_message_that_is_under_way(caddy: Path, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 8192), hard), hard))
    with Mailbox().running() as mailbox:
        upstreams = {f"{HOST}:{port}": own for port, own in mailbox.ports.items()}
        edge = Edge(caddy, tmp_path, {port: free_port() for port in mailbox.ports}, upstreams)
        edge.write(ROUTES)
        with edge.running():
            alive, accepted = asyncio.run(clients(edge))
            assert '"try_duration":"900ms"' in edge.running_document(), "the reload has changed what Caddy runs with"
        assert alive == IDLE, "idle connections were dropped"
        assert accepted == "250 accepted", "the message was cut off"
        until(lambda: mailbox.received >= SIZE, "the whole message")
