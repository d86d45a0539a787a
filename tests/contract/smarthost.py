"""A relay inside a test's namespace: demands STARTTLS and a login, keeps what it is given."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.contract.namespace import OUTSIDE, Namespace


@dataclass
class Relay:
    """What the relay saw: one envelope for each message it took."""

    username: str
    password: str
    envelopes: list[Envelope] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - the library's name
        self.envelopes.append(envelope)
        return "250 2.0.0 taken"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        valid = (data.login, data.password) == (self.username.encode(), self.password.encode())
        return AuthResult(success=valid, handled=False)


def _listen(space: Namespace, port: int) -> socket.socket:
    with space.entered():
        listener = socket.create_server((OUTSIDE, port))
    listener.setblocking(False)
    return listener


@contextmanager
def relay(space: Namespace, port: int, certificate: tuple[Path, Path], password: str) -> Iterator[Relay]:
    """The relay on OUTSIDE for the time of the block."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    taken = Relay("relay@example.net", password)
    listener = _listen(space, port)
    loop = asyncio.new_event_loop()

    def session() -> SMTP:
        return SMTP(
            taken, hostname="relay.example.net", tls_context=context, require_starttls=True,
            auth_required=True, authenticator=taken.authenticate, loop=loop,
        )  # fmt: skip

    server = loop.run_until_complete(loop.create_server(session, sock=listener))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield taken
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
