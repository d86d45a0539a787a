"""Replays the recorded SMTP, submission and IMAP conversations, and the table of PROXY header behaviour."""

from __future__ import annotations

import re

import pytest

from tests.contract.installation import PASSWORD
from tests.contract.server import Server
from tests.contract.transcript import conversations
from tests.contract.versions import under_test
from tests.contract.wire import CLIENT, STRANGER, TRUSTED, Wire
from tests.waiting import until

_CONVERSATIONS = {title: lines for title, lines in conversations(under_test()[0]).items() if "(port " in title}
_QUEUED = re.compile(r"(Message queued with id )[0-9a-f]{14,16}\.")
_UIDVALIDITY = re.compile(r"(UIDVALIDITY )\d+")
_MAILBOXID = re.compile(r"(MAILBOXID \()[a-z0-9]+")


def _plain(line: str) -> str:
    for pattern, replacement in ((_QUEUED, r"\1<id>."), (_UIDVALIDITY, r"\1<n>"), (_MAILBOXID, r"\1<id>")):
        line = pattern.sub(replacement, line)
    return line


def _replay(wire: Wire, lines: list[tuple[str, str]]) -> None:
    for speaker, line in lines:
        if line.startswith("[PROXY"):
            continue
        if speaker == "TLS":
            assert wire.start_tls() == line
        elif speaker == "C":
            wire.send(line)
        else:
            assert _plain(wire.line()) == _plain(line)


@pytest.mark.parametrize("title", [title for title in _CONVERSATIONS if "IMAP STARTTLS" not in title])
def test_a_recorded_conversation(mail: Server, title: str) -> None:
    lines = _CONVERSATIONS[title]
    found = re.search(r"port (\d+)", title)
    assert found is not None
    port = int(found[1])
    proxied = lines[0][1].startswith("[PROXY")
    with Wire(mail.space, port, source=TRUSTED if proxied else STRANGER, header=proxied) as wire:
        if port == 465:
            assert wire.start_tls() == "TLSv1.3"
        _replay(wire, lines)


def _deliver(server: Server, subject: str) -> None:
    with Wire(server.space, 25, source=TRUSTED, header=True) as wire:
        assert wire.reply().startswith("220 ")
        for command in ("EHLO client.example.net", "MAIL FROM:<bob@example.net>", "RCPT TO:<alice@example.org>"):
            assert wire.say(command).startswith("250")
        assert wire.say("DATA").startswith("354 ")
        assert wire.say(f"From: bob@example.net\r\nSubject: {subject}\r\n\r\nhello\r\n.").startswith(
            "250 2.0.0 Message queued"
        )


def _fetch_header(server: Server, subject: str) -> str:
    """The header of the newest message with a subject, over 993; empty when there is none."""
    with Wire(server.space, 993, source=STRANGER) as wire:
        wire.start_tls()
        wire.line()
        wire.send(f"a LOGIN alice@example.org {PASSWORD}")
        assert wire.line().startswith("a OK ")
        wire.send("b SELECT INBOX")
        while not wire.line().startswith("b OK"):
            pass
        wire.send(f'c UID SEARCH SUBJECT "{subject}"')
        uids = wire.line().split()[2:]
        wire.line()
        if not uids:
            return ""
        wire.send(f"d UID FETCH {uids[-1]} (BODY.PEEK[HEADER])")
        lines = []
        while not (line := wire.line()).startswith("d OK"):
            lines.append(line)
        return "\n".join(lines)


def test_the_recorded_imap_session(mail: Server) -> None:
    _deliver(mail, "before the session")
    until(lambda: _fetch_header(mail, "before the session"), "the message in the mailbox")
    title = next(title for title in _CONVERSATIONS if "IMAP STARTTLS" in title)
    lines = _CONVERSATIONS[title]
    select = next(n for n, (who, line) in enumerate(lines) if who == "C" and "SELECT" in line)
    with Wire(mail.space, 143, source=STRANGER) as wire:
        _replay(wire, lines[: select + 1])
        live = []
        while not (line := wire.line()).startswith("f "):
            live.append(line)
        recorded = [line for who, line in lines[select + 1 :] if who == "S" and line.startswith("* ")]

        def shape(line: str) -> str:
            return re.sub(r"\d+", "<n>", _plain(line))

        recorded = [shape(each) for each in recorded if "FETCH" not in each]
        assert [shape(each) for each in live] == recorded
        assert line == "f OK [READ-WRITE] SELECT completed"


def test_a_proxied_message_carries_the_clients_address_and_so_does_the_log(mail: Server) -> None:
    _deliver(mail, "through the proxy")
    header = until(lambda: _fetch_header(mail, "through the proxy"), "the message in the mailbox")
    received = re.findall(r"^Received: from (\S+) \((\S+) \[(\S+)\]\)$", header, re.MULTILINE)
    assert [(helo, address) for helo, _, address in received] == [("client.example.net", CLIENT[0])]
    names = [name for name in re.findall(r"^([A-Z][A-Za-z-]+):", header, re.MULTILINE) if not name.startswith("X-Spam")]
    assert names[:7] == [
        "Delivered-To", "Received", "Authentication-Results", "Received-SPF", "Return-Path", "Date", "Message-ID",
    ]  # fmt: skip
    log = mail.log.read_text()
    assert (
        f'(smtp.rcpt-to) listenerId = "smtp", localPort = 25, remoteIp = {CLIENT[0]}, remotePort = {CLIENT[1]}' in log
    )
    assert "(network.listen-start)" in log


@pytest.mark.parametrize(("port", "greeting"), [(25, "220 "), (587, "220 "), (143, "* OK ")])
class TestProxyHeader:
    """What a peer gets that is trusted or not, with a header or without."""

    def test_trusted_with_a_header_is_greeted(self, mail: Server, port: int, greeting: str) -> None:
        with Wire(mail.space, port, source=TRUSTED, header=True) as wire:
            assert wire.line().startswith(greeting)

    def test_trusted_without_a_header_gets_nothing(self, mail: Server, port: int, greeting: str) -> None:
        with Wire(mail.space, port, source=TRUSTED) as wire:
            assert wire.silent(2)

    def test_untrusted_without_a_header_is_greeted(self, mail: Server, port: int, greeting: str) -> None:
        with Wire(mail.space, port, source=STRANGER) as wire:
            assert wire.line().startswith(greeting)

    def test_untrusted_with_a_header_is_told_that_it_is_no_command(
        self, mail: Server, port: int, greeting: str
    ) -> None:
        with Wire(mail.space, port, source=STRANGER, header=True) as wire:
            assert wire.line().startswith(greeting)
            answer = wire.line()
            assert answer.startswith("500 5.5.1 Invalid command") if port != 143 else " BAD " in answer


def test_a_self_signed_certificate_is_served_before_any_other(mail: Server) -> None:
    with Wire(mail.space, 993, source=STRANGER) as wire:
        wire.start_tls()
        assert b"rcgen self signed cert" in wire.certificate
