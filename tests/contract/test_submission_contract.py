"""SMTP beyond the recorded conversations: the codes of refusals, LOGIN, chunks, and what STARTTLS must forget."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from tests.contract.installation import PASSWORD
from tests.contract.server import Server
from tests.contract.wire import STRANGER, Wire
from tests.waiting import until

_EHLO = "EHLO client.example.net"
_MAIL = "MAIL FROM:<bob@example.net>"
_RCPT = "RCPT TO:<alice@example.org>"


@pytest.fixture
def port25(mail: Server) -> Iterator[Wire]:
    with Wire(mail.space, 25, source=STRANGER) as wire:
        wire.reply()
        yield wire


@pytest.mark.parametrize(
    ("before", "command", "refusal"),
    [
        ([], "NONSENSE", "500 5.5.1 "),
        ([], "EHLO", "501 5.5.2 "),
        ([], "EHLO name", "550 5.5.0 "),
        ([], _MAIL, "503 5.5.1 "),
        ([_EHLO], _RCPT, "503 5.5.1 "),
        ([_EHLO], "MAIL bob@example.net", "501 5.5.2 "),
        ([_EHLO], f"{_MAIL} SIZE=999999999", "552 5.3.4 "),
        ([_EHLO, _MAIL], _MAIL, "503 5.5.1 "),
        ([_EHLO, _MAIL], "DATA", "503 5.5.1 "),
        ([_EHLO, _MAIL], "RCPT TO:alice", "501 5.5.2 "),
        ([_EHLO, _MAIL], "AUTH PLAIN", "503 5.5.1 "),
    ],
)
def test_a_refusal_has_its_code(port25: Wire, before: list[str], command: str, refusal: str) -> None:
    for each in before:
        assert port25.say(each).startswith("250")
    assert port25.say(command).startswith(refusal)


def test_a_message_in_chunks_is_taken_as_it_is(mail: Server, port25: Wire) -> None:
    for each in (_EHLO, _MAIL, _RCPT):
        assert port25.say(each).startswith("250")
    port25.send("BDAT 29\r\nSubject: chunks\r\n\r\nSTARTTLS")
    assert port25.reply().startswith("250 ")
    port25.send("BDAT 3 LAST\r\n.")
    assert port25.reply().startswith("250 2.0.0 Message queued with id ")
    with Wire(mail.space, 993, source=STRANGER) as wire:
        wire.start_tls()
        wire.line()
        wire.send(f"a LOGIN alice@example.org {PASSWORD}")
        wire.line()

        def arrived() -> bool:
            wire.send("b STATUS INBOX (MESSAGES)")
            found = wire.line()
            wire.line()
            return "MESSAGES 0" not in found

        until(arrived, "the message in the mailbox")
        wire.send("c SELECT INBOX")
        while not wire.line().startswith("c OK"):
            pass
        wire.send("d FETCH 1 BODY[TEXT]")
        lines = [wire.line() for _ in range(3)]
    assert lines[1:] == ["STARTTLS", "."]


def test_a_chunk_need_not_end_a_line(port25: Wire) -> None:
    for each in (_EHLO, _MAIL, _RCPT):
        assert port25.say(each).startswith("250")
    port25.write(b"BDAT 8\r\nSubject:")
    assert port25.reply().startswith("250 ")
    port25.write(b"BDAT 9 LAST\r\n cut\r\n\r\nx")
    assert port25.reply().startswith("250 2.0.0 Message queued with id ")
    for each in (_MAIL, _RCPT):
        assert port25.say(each).startswith("250")
    assert port25.say("DATA").startswith("354 ")
    assert port25.say("Subject: text\r\n\r\nBDAT 999\r\n.").startswith("250 "), "in a message it is text"
    assert port25.say("STARTTLS").startswith("220 ")


def test_login_is_asked_for_in_two_steps(mail: Server) -> None:
    with Wire(mail.space, 465, source=STRANGER) as wire:
        wire.start_tls()
        wire.reply()
        wire.say(_EHLO)
        assert wire.say("AUTH LOGIN") == "334 VXNlcm5hbWU6"
        assert wire.say(base64.b64encode(b"alice@example.org").decode()) == "334 UGFzc3dvcmQ6"
        assert wire.say(base64.b64encode(PASSWORD.encode()).decode()).startswith("235 2.7.0 ")
        assert wire.say("AUTH PLAIN").startswith("503 5.5.1 ")


def test_what_came_in_clear_with_starttls_is_forgotten(port25: Wire) -> None:
    port25.say(_EHLO)
    port25.send("STARTTLS\r\nEHLO injected.example.net\r\n" + _MAIL)
    assert port25.reply().startswith("220 2.0.0 ")
    port25.start_tls()
    # A real server still counts the EHLO of before, but nothing that came behind STARTTLS.
    assert port25.say(_RCPT).startswith("503 5.5.1 "), "the MAIL in clear does not count"
