"""The lab's mail clients: verified by the server's name, at whatever address it is reached."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab import hosts, issuer, mail, pki
from lab.topology import DOMAIN
from tailwart.errors import TailwartError
from tests.unit.verify.mail_server import MailServer

NAME = f"mail.{DOMAIN}"


def fetch(monkeypatch: pytest.MonkeyPatch, server: MailServer, roots: Path) -> str:
    """`tailwart lab fetch`, with this machine's curl in the place of world's and a server of ours behind port 993."""
    with server.local_port("", 993) as port:

        def here(_: str, argv: list[str], *, stdin: bytes, check: bool) -> subprocess.CompletedProcess[bytes]:
            said = stdin.decode().replace(":127.0.0.1:993", f":127.0.0.1:{port}").replace(issuer.ON_WORLD, str(roots))
            return subprocess.run(argv, input=said.encode(), capture_output=True, check=check)

        monkeypatch.setattr(hosts, "exec", here)
        monkeypatch.setattr(mail, "password", lambda _: "alice-password-1")
        return mail.fetch("alice", server="127.0.0.1")


@pytest.mark.parametrize(("name", "known"), [(NAME, False), ("mail.example.com", True)])
def test_a_server_that_does_not_prove_its_name_gets_no_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, known: bool
) -> None:
    authority = pki.authority(tmp_path)
    pki.ensure_certificate(authority, tmp_path, "mail", [name])
    other = tmp_path / "other"
    other.mkdir()
    pki.authority(other)
    server = MailServer(tmp_path / "mail.crt", tmp_path / "mail.key")
    with pytest.raises(TailwartError, match="lessons"):
        fetch(monkeypatch, server, (tmp_path if known else other) / "ca.crt")
    assert server.heard == []


def test_a_server_that_proves_its_name_is_signed_in_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pki.ensure_certificate(pki.authority(tmp_path), tmp_path, "mail", [NAME])
    server = MailServer(tmp_path / "mail.crt", tmp_path / "mail.key")
    with pytest.raises(TailwartError, match="no message"):
        fetch(monkeypatch, server, tmp_path / "ca.crt")
    assert any("alice-password-1" in line for line in server.heard)


def test_a_submission_with_a_password_is_verified_by_the_servers_name(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[list[str]] = []

    def world(command: list[str], _: dict[str, str]) -> Any:
        said.append(command)
        return subprocess.CompletedProcess(command, 0, b"", b"")

    monkeypatch.setattr(mail, "_on_world", world)
    monkeypatch.setattr(mail, "password", lambda _: "alice-password-1")
    mail.send_out("alice", "friend@outside.test", mail.Message("hello", "hello"), server="198.51.100.11")
    (command,) = said
    assert "--tls-verify" in command
    assert command[command.index("--tls-verify-target") + 1] == NAME


def test_every_root_of_the_acme_server_is_kept_once() -> None:
    first, second = (f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n" for text in ("AA", "BB"))
    assert issuer.merge("", first) == first
    assert issuer.merge(first, second) == first + second
    assert issuer.merge(first + second, first) == first + second
