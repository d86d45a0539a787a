"""SPF, DKIM and DMARC of a received message: really signed, judged by records that stand here."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import dkim
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tailwart.checks import message
from tailwart.checks.message import MESSAGE, MessageFacts
from tailwart.checks.model import Verdict
from tailwart.cli.doctor import doctor
from tests.unit.checks.sample import environment

KEY, SPF, DMARC = "s1._domainkey.example.org", "example.org", "_dmarc.example.org"
BODY = b"hello\r\n"


@cache
def private() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def public() -> str:
    der = private().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def records(**changed: list[str] | None) -> dict[str, list[str] | None]:
    """The zone as it should be, but for these."""
    p = public()
    found: dict[str, list[str] | None] = {
        # As servers write them: quoted, and a long one in pieces.
        KEY: [f'"v=DKIM1; k=rsa; p={p[:200]}" "{p[200:]}"'],
        SPF: ['"v=spf1 mx ip4:198.51.100.25 -all"', '"site-verification=1"'],
        DMARC: ['"v=DMARC1; p=quarantine; rua=mailto:a@example.org"'],
    }
    return found | {{"key": KEY, "spf": SPF, "dmarc": DMARC}[name]: value for name, value in changed.items()}


def received(
    *,
    signed: str = "example.org",
    sender: str = "alice@example.org",
    author: str = "Alice <alice@example.org>",
    lines: str = "Received: from relay.example (relay.example [198.51.100.25]) by mx.other.example; today\r\n",
    body: bytes = BODY,
) -> bytes:
    """A message as the receiver has it: what went out, with what was added on top."""
    sent = f"From: {author}\r\nTo: bob@other.example\r\nSubject: hello\r\nDate: today\r\n\r\n".encode() + BODY
    pem = private().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    head = dkim.sign(sent, b"s1", signed.encode(), pem) if signed else b""
    top = f"Return-Path: <{sender}>\r\n{lines}".encode() if sender else lines.encode()
    return top + head + sent[: -len(BODY)] + body


def look(raw: bytes, zone: Mapping[str, list[str] | None]) -> dict[str, tuple[Verdict, str]]:
    def answers(name: str, rtype: str) -> list[str] | None:
        if rtype == "TXT":
            return zone.get(name, [])
        return {"MX": ["10 mail.example.org."], "A": ["192.0.2.1"]}.get(rtype, [])

    results = MESSAGE.run(MessageFacts(environment(), raw, answers), "message", lambda _: True)
    return {item.check.id.partition(".")[2]: (item.verdict, " ".join(item.seen)) for item in results}


def failed(found: Mapping[str, tuple[Verdict, str]]) -> dict[str, str]:
    return {name: seen for name, (verdict, seen) in found.items() if verdict is Verdict.FAILED}


def test_a_good_message_passes_however_its_lines_end() -> None:
    for raw in (received(), received().replace(b"\r\n", b"\n"), received(author="alice@news.example.org")):
        assert {verdict for verdict, _ in look(raw, records()).values()} == {Verdict.PASSED}


@pytest.mark.parametrize(
    ("raw", "zone", "expected"),
    [
        (received(body=b"hello\r\nsent by a smarthost\r\n"), records(), {"dkim": "example.org: body hash mismatch"}),
        (received(), records(key=[]), {"dkim": "its key has no record"}),
        (received(), records(key=['"v=DKIM1; p=MIIB"']), {"dkim": "s1 of example.org"}),
        (received(), records(key=['"v=DKIM1; p=x"', '"v=DKIM1; p=y"']), {"dkim": "has 2 TXT records"}),
        (received(signed=""), records(), {"dkim": "no signature of example.org"}),
        (received(), records(spf=['"v=spf1 mx -all"']), {"spf": "198.51.100.25 for example.org: fail"}),
        (received(), records(spf=['"v=spf1 mx -all"'] * 2), {"spf": "permerror (example.org has 2 SPF records)"}),
        (received(), records(spf=[]), {"spf": "none"}),
        (
            received(lines="Received-SPF: pass client-ip=203.0.113.9; x\r\n"),
            records(),
            {"spf": "203.0.113.9 for example.org: fail"},
        ),
        (
            received(lines="Received: from mail.example.org ([IPv6:2001:db8::25]) by mx.other.example; today\r\n"),
            records(),
            {"spf": "2001:db8::25 for example.org: fail"},
        ),
        (received(), records(dmarc=[]), {"dmarc": "no DMARC record"}),
        (
            received(signed="", sender="bounce@mailer.example"),
            records() | {"mailer.example": ['"v=spf1 ip4:198.51.100.0/24 -all"']},
            {"dkim": "no signature", "dmarc": "DKIM: none holds; SPF: pass for mailer.example; p=quarantine"},
        ),
        (
            received(signed="", author="alice@news.example.org"),
            records(dmarc=['"v=DMARC1; p=reject; aspf=s"']),
            {"dkim": "no signature", "dmarc": "From is news.example.org"},
        ),
    ],
)  # fmt: skip
def test_what_receivers_refuse(raw: bytes, zone: Mapping[str, list[str] | None], expected: dict[str, str]) -> None:
    found = failed(look(raw, zone))
    assert found.keys() == expected.keys(), found
    assert all(text in found[name] for name, text in expected.items()), found


@pytest.mark.parametrize(
    ("raw", "zone", "names"),
    [
        (received(), records(key=None), {"dkim", "dmarc"}),
        (received(), records(spf=None), {"spf"}),
        (received(), records(dmarc=None), {"dmarc"}),
        (received(), records(spf=['"v=spf1 include:%{d}.x.example -all"']), {"spf"}),
        (received(sender=""), records(), {"spf"}),
        (received(lines="Received: by local id 1; today\r\n"), records(), {"spf"}),
        (received(lines="Received: from a (b [100.64.0.3]) by c; today\r\n"), records(), {"spf"}),
        (received(author="bob@other.example"), records(), {"dkim", "spf", "dmarc"}),
        (b"", records(), {"dkim", "spf", "dmarc"}),
        (b"\xff\xfe\x00 no message", records(), {"dkim", "spf", "dmarc"}),
    ],
)
def test_what_cannot_be_looked_at_is_never_green(
    raw: bytes, zone: Mapping[str, list[str] | None], names: set[str]
) -> None:
    found = look(raw, zone)
    assert {name for name, (verdict, _) in found.items() if verdict is Verdict.UNKNOWN} == names, found


def test_the_command_judges_a_file_and_says_what_it_cannot_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "env").write_text("DOMAIN=example.org\nTS_TAILNET=tail1.ts.net\nOFFLINE=true\n")
    (tmp_path / "env").chmod(0o600)
    monkeypatch.setenv("TAILWART_ENV", str(tmp_path / "env"))
    file = tmp_path / "received.eml"
    file.write_bytes(b"From alice@example.org Fri Nov 27 12:00:00 2026\n" + received())
    shown = CliRunner().invoke(doctor, ["--message", str(file), "--json"])
    document = json.loads(shown.stdout)
    assert shown.exit_code == 2 and {item["verdict"] for item in document["results"]} == {"could not look"}
    assert "hello" not in CliRunner().invoke(doctor, ["--message", str(file)]).stdout, "contents are never shown"
    missing = CliRunner().invoke(doctor, ["--message", str(tmp_path / "none")])
    assert missing.exit_code and "cannot be read" in str(missing.exception)
    assert CliRunner().invoke(doctor, ["--message", str(file), "--deep"]).exit_code == 2
    assert message.MESSAGE.plane == "message"
