"""A message handed in by a mail program."""

from __future__ import annotations

import base64

from tests.contract.server import Server
from tests.contract.wire import STRANGER, Wire


def submit(server: Server, sender: str, password: str, recipient: str, subject: str) -> None:
    """Log in on 587 and hand in a short message."""
    plain = base64.b64encode(f"\0{sender}\0{password}".encode()).decode()
    with Wire(server.space, 587, source=STRANGER) as wire:
        wire.reply()
        wire.say("EHLO client.example.net")
        assert wire.say("STARTTLS").startswith("220 ")
        wire.start_tls()
        wire.say("EHLO client.example.net")
        assert wire.say(f"AUTH PLAIN {plain}").startswith("235 ")
        assert wire.say(f"MAIL FROM:<{sender}>").startswith("250 ")
        assert wire.say(f"RCPT TO:<{recipient}>").startswith("250 ")
        assert wire.say("DATA").startswith("354 ")
        message = f"From: {sender}\r\nTo: {recipient}\r\nSubject: {subject}\r\n\r\n.leading dot\r\n"
        # The sender's side of dot stuffing.
        stuffed = message.replace("\r\n.", "\r\n..")
        assert wire.say(f"{stuffed}.").startswith("250 2.0.0 Message queued")
