"""The proxy that makes loopback distant: nothing lost, nothing reordered, round trips counted."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from lab.latency import DelayProxy


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that answers each line with itself."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            for line in stream:
                stream.write(line)
                stream.flush()

    threading.Thread(target=serve, daemon=True).start()
    yield int(listener.getsockname()[1])
    listener.close()


def test_every_byte_arrives_in_order_and_waiting_is_counted(echo: int) -> None:
    with DelayProxy("127.0.0.1", echo, 0.002) as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as client:
        stream = client.makefile("rwb")
        for number in range(5):
            stream.write(b"%d\n" % number)
            stream.flush()
            assert stream.readline() == b"%d\n" % number
        # The first question waited for nothing that was heard before.
        assert proxy.round_trips == 4
        stream.write(b"x" * 200_000 + b"\n")
        stream.flush()
        assert stream.readline() == b"x" * 200_000 + b"\n"
