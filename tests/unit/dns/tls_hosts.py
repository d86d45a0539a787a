"""Servers with a certificate, for the checks of an address: one that greets with a name, one that speaks TLS alone."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

Talk = Callable[[socket.socket, ssl.SSLContext], None]


def greeting_host(name: str, pem: Path) -> AbstractContextManager[int]:
    """The port on 127.0.0.1 of a mail server that greets with ``name`` and shows its certificate by STARTTLS."""
    return _serving(pem, partial(_greet, name))


def tls_server(pem: Path) -> AbstractContextManager[int]:
    """The port on 127.0.0.1 of a server that shows its certificate to everybody."""
    return _serving(pem, lambda plain, context: context.wrap_socket(plain, server_side=True).close())


@contextmanager
def _serving(pem: Path, talk: Talk) -> Iterator[int]:
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
                talk(plain, context)
            except OSError:
                plain.close()  # the client did not trust the certificate, or has seen enough

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _greet(name: str, plain: socket.socket, context: ssl.SSLContext) -> None:
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
