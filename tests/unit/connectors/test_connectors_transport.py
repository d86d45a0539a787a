"""The tuned SSH transport, on a real connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import paramiko
import pytest
from paramiko.common import AUTH_SUCCESSFUL

from tailwart.connectors.ssh import PromptTransport


class _Server(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        return int(AUTH_SUCCESSFUL)

    def get_allowed_auths(self, username: str) -> str:
        return "password"


@pytest.fixture
def port() -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    transports: list[paramiko.Transport] = []

    def serve() -> None:
        connection, _ = listener.accept()
        transport = paramiko.Transport(connection)
        transports.append(transport)
        transport.add_server_key(paramiko.ECDSAKey.generate())
        transport.start_server(server=_Server())

    threading.Thread(target=serve, daemon=True).start()
    yield int(listener.getsockname()[1])
    for transport in transports:
        transport.close()
    listener.close()


def test_small_packets_leave_at_once_and_the_key_exchange_is_the_quick_one(port: int) -> None:
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.MissingHostKeyPolicy())
    client.connect(
        "127.0.0.1", port, "op", "pw", look_for_keys=False, allow_agent=False, transport_factory=PromptTransport
    )
    try:
        transport = client.get_transport()
        assert isinstance(transport, PromptTransport)
        assert isinstance(transport.sock, socket.socket)
        assert transport.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert transport.get_security_options().kex[0].startswith("curve25519")
    finally:
        client.close()
