"""The recipes of docs/recipes.md on one server: pasted, applied, taken back; and mail programs to see them act with."""

from __future__ import annotations

import imaplib
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tailwart.environment import Environment
from tailwart.plan import render
from tailwart.stalwart.settings.declaration import from_environment
from tailwart.stalwart.settings.inputs import MailboxSettings
from tests.contract.namespace import Namespace
from tests.contract.wire import proxy_v2
from tests.documentation import recipes
from tests.plans.stalwart.stalwart_host import StalwartHost
from tests.waiting import until

# An address of the tailnet that the host of these tests has: a peer whose PROXY header counts.
EDGE = "100.64.0.5"
PASSWORDS = {"alice": "alice's own words", "bob": "bob has other words"}
VARIABLES = {"STALWART_WEBHOOK_KEY": "a key of its own", "STALWART_LDAP_BIND_PASSWORD": "search-only-words"}
ACCOUNTS = (
    {"name": "alice", "password": PASSWORDS["alice"], "aliases": "postmaster"},
    {"name": "bob", "password": PASSWORDS["bob"]},
)
KEYS: dict[str, Any] = {
    "domain": "example.org",
    "ts_tailnet": "tail1234.ts.net",
    "stalwart_admin_password": "an administrator's own words",
    "webhook_key": VARIABLES["STALWART_WEBHOOK_KEY"],
    "ldap_bind_password": VARIABLES["STALWART_LDAP_BIND_PASSWORD"],
    "offline": True,
}


@dataclass
class Kitchen:
    """One server that recipes are tried on. ``replace`` in them stands for values that only a test knows."""

    host: StalwartHost
    accounts: Sequence[Mapping[str, str]] = ACCOUNTS

    def settings(self, text: str = "", **more: Any) -> MailboxSettings:
        values: dict[str, Any] = {"Path": Path}
        exec(text, values)  # noqa: S102 - the lines that the documentation asks people to paste
        data = {name: value for name, value in values.items() if name.startswith("mailbox_")}
        return from_environment(Environment.model_validate({**KEYS, "accounts": self.accounts}), {**data, **more})

    def apply(self, settings: MailboxSettings) -> str:
        """Apply, and return the plan that was shown before; a second plan is empty."""
        before = self.host.plane(settings).observe()
        shown = render(before.planned.document(before.live)) if before.live else ""
        self.host.deploy(settings)
        after = self.host.plane(settings).observe()
        assert after.live is not None
        assert after.up_to_date, render(after.planned.document(after.live))
        return shown

    @contextmanager
    def recipe(self, heading: str, **replaced: str) -> Iterator[str]:
        """The recipe in force for the time of the block; the plan that it showed. What it shows is in the doc."""
        recipe = recipes()[heading]
        paste, back = recipe.paste, recipe.back
        for old, new in replaced.items():
            assert old in paste, f"{heading} has no {old}"
            paste, back = paste.replace(old, new), back.replace(old, new)
        shown = self.apply(self.settings(paste))
        # A real server returns whole numbers of its scores as 5.0.
        lines = [re.sub(r"\b(\d+)\.0\b", r"\1", line.strip()) for line in shown.splitlines()]
        missing = [line for line in recipe.shown.splitlines() if line.strip() not in lines]
        assert not missing, f"{heading}: the plan does not show {missing}:\n{shown}"
        try:
            yield shown
        finally:
            self.apply(self.settings(back))

    def smtp(self, port: int = 25, user: str = "", password: str | None = None, client: str = "") -> smtplib.SMTP:
        """A connection: to port 25 as another server, to others as a mail program that signs in.

        With ``client``, an edge says in its PROXY header that the connection comes from that address.
        """
        connection = _Smtp(self.host.space, port, client)
        connection.ehlo("client.example.net")
        if port != 25:
            connection.starttls(context=_unverified())
            connection.ehlo("client.example.net")
            connection.login(f"{user}@example.org", password or PASSWORDS[user])
        return connection

    def imap(self, user: str, password: str | None = None, source: str = "") -> imaplib.IMAP4:
        """A mail program that has signed in on 993."""
        connection = self.connect_imap(source)
        connection.login(f"{user}@example.org", password or PASSWORDS[user])
        return connection

    def connect_imap(self, source: str = "") -> imaplib.IMAP4:
        """A mail program that has not signed in yet."""
        return _Imap(self.host.space, source)

    def deliver(
        self, recipient: str, subject: str, sender: str = "friend@example.net", client: str = "", **headers: str
    ) -> None:
        """A message from outside."""
        with self.smtp(client=client) as connection:
            connection.sendmail(sender, [recipient], message(recipient, subject, sender, **headers))

    def arrived(self, user: str, subject: str, folder: str = "INBOX", password: str | None = None) -> bytes:
        """Wait for the message with that subject in a folder; returns it."""

        def look() -> bytes | None:
            with self.imap(user, password) as connection:
                connection.select(f'"{folder}"', readonly=True)
                _, (found,) = connection.search(None, "SUBJECT", f'"{subject}"')
                numbers = found.split()
                if not numbers:
                    return None
                _, parts = connection.fetch(numbers[-1].decode(), "(BODY.PEEK[])")
                part = parts[0]
                assert isinstance(part, tuple)
                return part[1]

        return until(look, f'"{subject}" in {folder} of {user}')


def message(recipient: str, subject: str, sender: str = "friend@example.net", **headers: str) -> bytes:
    """A short message; ``headers`` have underscores for hyphens."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, recipient, subject
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content("Words.\n")
    return bytes(made).replace(b"\n", b"\r\n")


@dataclass
class Heard:
    """What a receiver of webhooks was sent: bodies and headers."""

    port: int
    requests: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)


@contextmanager
def receiver(space: Namespace) -> Iterator[Heard]:
    """A receiver of webhooks inside, for the time of the block."""
    heard = Heard(0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.requests.append((body, dict(self.headers)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is printed."""

    with space.entered():
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        server.shutdown()
        server.server_close()


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class _Smtp(smtplib.SMTP):
    def __init__(self, space: Namespace, port: int, client: str) -> None:
        self._space, self._client = space, client
        super().__init__("127.0.0.1", port, timeout=60)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        if not self._client:
            return self._space.connect(port, timeout=timeout)
        connection = self._space.connect(port, host=EDGE, source=EDGE, timeout=timeout)
        connection.sendall(proxy_v2((self._client, 40000), (EDGE, port)))
        return connection


class _Imap(imaplib.IMAP4):
    def __init__(self, space: Namespace, source: str) -> None:
        self._space, self._from = space, source
        super().__init__("127.0.0.1", 993)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return _unverified().wrap_socket(self._space.connect(993, source=self._from), server_hostname="mail")
