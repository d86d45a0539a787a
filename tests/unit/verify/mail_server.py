"""A mail server for one client: enough of IMAP and SMTP to hear a password, and to show who would be given it."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Answers by the first word that fits; a tagged protocol's answers are given its tag.
_IMAP = {
    "CAPABILITY": "* CAPABILITY IMAP4rev1 STARTTLS\r\n{tag} OK done\r\n",
    "STARTTLS": "{tag} OK go ahead\r\n",
    "LOGIN": "{tag} OK signed in\r\n",
    "LOGOUT": "* BYE\r\n{tag} OK bye\r\n",
}
_SMTP = {
    "EHLO": "250-mail\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n",
    "STARTTLS": "220 go ahead\r\n",
    "AUTH": "235 signed in\r\n",
    "QUIT": "221 bye\r\n",
}


class MailServer:
    """Stands in for the tunnel to a mail host: every port leads here. ``heard`` is all that clients have said."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.heard: list[str] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)

    @contextmanager
    def local_port(self, _: str, port: int) -> Iterator[int]:
        """The loopback port of the service that has this number."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(20)
            thread = threading.Thread(target=self._serve, args=(listener, port), daemon=True)
            thread.start()
            yield int(listener.getsockname()[1])
            thread.join(40)
            assert not thread.is_alive()

    def _serve(self, listener: socket.socket, port: int) -> None:
        try:
            client: Any = listener.accept()[0]
            client.settimeout(20)
            if port in (465, 993):
                client = self._context.wrap_socket(client, server_side=True)
            self._speak(client, imap=port in (143, 993))
        except OSError:  # the client has left: what matters is what it said until then
            pass

    def _speak(self, client: Any, *, imap: bool) -> None:
        client.sendall(b"* OK ready\r\n" if imap else b"220 mail ready\r\n")
        stream = client.makefile("rb")
        while line := stream.readline().decode().strip():
            self.heard.append(line)
            tag, _, rest = line.partition(" ") if imap else ("", "", line)
            word = rest.split()[0].upper()
            known, other = (_IMAP, "{tag} OK done\r\n") if imap else (_SMTP, "250 done\r\n")
            client.sendall(known.get(word, other).format(tag=tag).encode())
            if word == "STARTTLS":
                client = self._context.wrap_socket(client, server_side=True)
                stream = client.makefile("rb")
        client.close()
