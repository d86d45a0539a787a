"""Mail protocols from the mailbox host's own network position, through its SSH connection.

The operator's provider may block port 25, and the operator's machine may not reach the edge at all (a lab); the mailbox
host has ordinary internet egress and is not on the tailnet itself, so from there the edge is simply a public server.
"""

from __future__ import annotations

import imaplib
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paramiko

from tailwart.connectors.ssh import PromptTransport
from tailwart.environment import Environment, SshTarget


@contextmanager
def ssh_client(environment: Environment, target: SshTarget) -> Iterator[paramiko.SSHClient]:
    """One SSH connection with the key and known hosts of the deploy."""
    client = paramiko.SSHClient()
    if environment.ssh_known_hosts:
        client.load_host_keys(str(Path(environment.ssh_known_hosts).expanduser()))
    else:
        client.load_system_host_keys()
    key = str(Path(environment.ssh_key).expanduser()) if environment.ssh_key else None
    client.connect(
        target.host,
        target.port,
        target.user,
        key_filename=key,
        timeout=10,
        allow_agent=key is None,
        transport_factory=PromptTransport,
    )
    try:
        yield client
    finally:
        client.close()


class Tunnel:
    """Opens TCP connections as if from the far host."""

    def __init__(self, client: paramiko.SSHClient) -> None:
        self._client = client

    def connect(self, host: str, port: int) -> paramiko.Channel:
        """A channel to ``host:port``; raises `paramiko.ChannelException` when the far host cannot connect."""
        transport = self._client.get_transport()
        assert transport is not None
        channel = transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=20)
        channel.settimeout(30)
        return channel

    @contextmanager
    def local_port(self, host: str, port: int) -> Iterator[int]:
        """A loopback port that leads to ``host:port``, for libraries that want a real socket (TLS)."""

        listener = socket.create_server(("127.0.0.1", 0))
        stop = threading.Event()

        def pump(source: Any, sink: Any) -> None:
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
            except OSError:
                pass
            finally:
                sink.close()

        def accept() -> None:
            while not stop.is_set():
                try:
                    near, _ = listener.accept()
                except OSError:
                    return
                far = self.connect(host, port)
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            listener.close()


@contextmanager
def smtp(tunnel: Tunnel, host: str, port: int) -> Iterator[smtplib.SMTP]:
    """An SMTP session with the edge, greeted and with EHLO said."""
    with tunnel.local_port(host, port) as local, smtplib.SMTP("127.0.0.1", local, "verify.invalid", 60) as session:
        yield session


@contextmanager
def submission(tunnel: Tunnel, door: tuple[str, int], server: ssl.SSLContext) -> Iterator[smtplib.SMTP]:
    """An SMTP session for submission inside TLS: implicit on 465 (RFC 8314), by STARTTLS elsewhere.

    ``door`` is address and port; ``server`` judges the certificate, before anything is sent inside.
    """
    host, port = door
    if port != 465:
        with smtp(tunnel, host, port) as session:
            session.starttls(context=server)
            yield session
        return
    with (
        tunnel.local_port(host, port) as local,
        smtplib.SMTP_SSL("127.0.0.1", local, "verify.invalid", timeout=60, context=server) as session,
    ):
        yield session


@contextmanager
def imap(
    tunnel: Tunnel, door: tuple[str, int], server: ssl.SSLContext, user: str, password: str
) -> Iterator[imaplib.IMAP4]:
    """A logged-in IMAP session inside TLS: implicit on 993, by STARTTLS elsewhere.

    ``door`` is address and port; ``server`` judges the certificate, before the password is sent.
    """
    host, port = door
    with tunnel.local_port(host, port) as local:
        session: imaplib.IMAP4
        if port == 993:
            session = imaplib.IMAP4_SSL("127.0.0.1", local, ssl_context=server, timeout=60)
        else:
            session = imaplib.IMAP4("127.0.0.1", local, timeout=60)
            session.starttls(server)
        session.login(user, password)
        try:
            yield session
        finally:
            session.logout()
