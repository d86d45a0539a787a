"""A server that greets with a name and shows a certificate by STARTTLS, for the checks of an address."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def greeting_host(name: str, pem: Path) -> Iterator[int]:
    """The port on 127.0.0.1 where it answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                _talk(plain, name, context)
            except OSError:
                plain.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _talk(plain: socket.socket, name: str, context: ssl.SSLContext) -> None:
    plain.sendall(f"220 {name} ESMTP\r\n".encode())
    while line := plain.recv(1000):
        if line.upper().startswith(b"EHLO"):
            plain.sendall(f"250-{name}\r\n250 STARTTLS\r\n".encode())
        elif line.upper().startswith(b"STARTTLS"):
            plain.sendall(b"220 ready\r\n")
            with context.wrap_socket(plain, server_side=True) as secured:
                secured.recv(1000)
            return
        else:
            plain.sendall(b"221 bye\r\n")
            return
