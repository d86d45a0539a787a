"""What mail programs do with a mailbox: Python's imaplib, as the verification uses it, and curl."""

from __future__ import annotations

import imaplib
import socket
import ssl
import subprocess
from collections.abc import Iterator

import pytest

from tests.contract.installation import PASSWORD
from tests.contract.server import Server
from tests.contract.wire import STRANGER, Wire

_ALICE = "alice@example.org"
_LETTER = (
    b"From: bob@example.net\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\r\n.one\r\nx STARTTLS\r\n* OK [CAPABILITY]\r\n"
)


class _Session(imaplib.IMAP4):
    """imaplib over 993 in the server's namespace."""

    def __init__(self, server: Server) -> None:
        self._server = server
        super().__init__()

    def _create_socket(self, timeout: float | None = None) -> socket.socket:
        plain = self._server.space.connect(993, source=STRANGER, timeout=20)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(plain, server_hostname="mail.example.org")


@pytest.fixture
def alice(mail: Server) -> Iterator[_Session]:
    with _Session(mail) as session:
        session.login(_ALICE, PASSWORD)
        yield session


def test_a_message_is_found_read_and_deleted(alice: _Session) -> None:
    assert alice.append("INBOX", r"(\Flagged)", "", _LETTER)[0] == "OK"
    assert alice.select("INBOX") == ("OK", [b"1"])
    assert alice.search(None, "SUBJECT", "other")[1] == [b""]
    assert alice.search("UTF-8", "FLAGGED", "UNSEEN", "TEXT", ".one")[1] == [b"1"]
    assert alice.search(None, "NOT", "DELETED", "OR", "FROM", "nobody", "FROM", "bob")[1] == [b"1"]
    kind, parts = alice.fetch("1", "(RFC822)")
    assert kind == "OK"
    assert isinstance(parts[0], tuple)
    assert parts[0][1] == _LETTER, "a message comes back byte for byte"
    assert rb"\Seen" in b"".join(alice.fetch("1", "(FLAGS)")[1])  # type: ignore[arg-type]
    assert b'"bob" "example.net"' in b"".join(alice.fetch("1", "(ENVELOPE)")[1])  # type: ignore[arg-type]
    assert alice.uid("COPY", "1", '"Junk Mail"')[0] == "OK"
    alice.store("1", "+FLAGS", r"(\Deleted)")
    assert alice.expunge() == ("OK", [b"1"])
    assert alice.search(None, "ALL")[1] == [b""]
    assert alice.select('"Junk Mail"') == ("OK", [b"1"])
    assert alice.uid("MOVE", "1:*", "INBOX")[0] == "OK"
    (status,) = alice.status("INBOX", "(MESSAGES UIDNEXT)")[1]
    assert isinstance(status, bytes)
    # A real server puts the name into quotes.
    assert status.replace(b'"', b"") == b"INBOX (MESSAGES 1 UIDNEXT 3)"


def test_what_others_do_is_told(mail: Server, alice: _Session) -> None:
    before = int(alice.select("INBOX")[1][0] or b"0")
    with Wire(mail.space, 993, source=STRANGER) as other:
        other.start_tls()
        other.line()
        other.send(f"a LOGIN {_ALICE} {PASSWORD}")
        assert other.line().startswith("a OK ")
        other.send("b SELECT INBOX")
        while not other.line().startswith("b OK"):
            pass
        other.send("c IDLE")
        assert other.line().startswith("+ ")
        alice.append("INBOX", "", "", _LETTER)
        # A real server tells the STATUS first.
        while (told := other.line()).startswith("* STATUS "):
            pass
        assert told == f"* {before + 1} EXISTS"
        other.send("DONE")
        while (told := other.line()).startswith("* "):
            pass
        assert told.startswith("c OK")
    # Who wrote it into the folder that is open is not told, and reads it all the same.
    alice.noop()
    assert alice.response("EXISTS")[1][-1] == str(before).encode()
    # imaplib types an answer as bytes or a pair; a fetched message is a pair.
    assert alice.fetch(str(before + 1), "(RFC822)")[1][0][1] == _LETTER  # type: ignore[index]


def test_a_literal_is_never_taken_for_a_command(mail: Server) -> None:
    with Wire(mail.space, 993, source=STRANGER) as wire:
        wire.start_tls()
        wire.line()
        wire.send(f"a LOGIN {_ALICE} {PASSWORD}")
        wire.line()
        wire.send("b APPEND Drafts {19+}\r\nx STARTTLS\r\nx ID ()")
        assert wire.line().startswith("b OK [APPENDUID ")
        wire.send("c NOOP")
        assert wire.line() == "c OK NOOP completed"


def test_curl_signs_in_and_reads(mail: Server, alice: _Session) -> None:
    alice.append("INBOX", "", "", _LETTER)
    number = int(alice.select("INBOX")[1][0] or b"0")
    url = f"imaps://127.0.0.1/INBOX/;MAILINDEX={number}"
    command = mail.space.command("curl", "--silent", "--insecure", "--user", f"{_ALICE}:{PASSWORD}", url)
    assert subprocess.run(command, capture_output=True, check=True).stdout == _LETTER
    refused = mail.space.command("curl", "--silent", "--insecure", "--user", f"{_ALICE}:wrong", "imaps://127.0.0.1/")
    assert subprocess.run(refused, capture_output=True, check=False).returncode == 67


def test_guessing_passwords_ends_the_connection(mail: Server) -> None:
    with Wire(mail.space, 993, source=STRANGER) as wire:
        wire.start_tls()
        wire.line()
        for _ in range(3):
            wire.send(f"a LOGIN {_ALICE} wrong")
            assert wire.line() == "a NO [AUTHENTICATIONFAILED] Authentication failed"
        wire.send(f"a LOGIN {_ALICE} wrong")
        # Untagged, and no BYE before the end.
        assert wire.line() == "* NO [AUTHENTICATIONFAILED] Too many authentication attempts"
        assert wire.line() == ""


def test_a_program_may_say_who_it_is_at_any_time(mail: Server, alice: _Session) -> None:
    with Wire(mail.space, 143, source=STRANGER) as wire:
        wire.line()
        wire.send('a ID ("name" "test")')
        assert wire.line().startswith('* ID ("name" "')
        assert wire.line() == "a OK ID completed"
    assert alice.xatom("ID", "NIL")[0] == "OK"
