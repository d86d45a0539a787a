"""`make verify` sends a password to a server that proves its name, and to no other."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab import pki
from tailwart.environment import Environment
from tests.unit.verify.mail_server import MailServer
from tests.verify.trust import trust
from tests.verify.tunnel import imap, submission

PASSWORD = "alice-password-1"
DOORS = [143, 993, 465, 587]


def settings(authority: Path | None) -> Environment:
    return Environment(domain="example.org", ts_tailnet="tail1.ts.net", acme_ca=str(authority) if authority else None)


def sign_in(server: Any, port: int, environment: Environment) -> None:
    if port in (143, 993):
        with imap(server, ("192.0.2.1", port), trust(environment), "alice", PASSWORD):
            pass
    else:
        with submission(server, ("192.0.2.1", port), trust(environment)) as session:
            session.login("alice", PASSWORD)


def told(server: MailServer) -> str:
    """What clients have said that is a login."""
    return "".join(line for line in server.heard if "LOGIN" in line or "AUTH" in line)


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    pki.authority(tmp_path)
    return tmp_path / "ca.crt"


def issued(directory: Path, name: str) -> MailServer:
    pki.ensure_certificate(pki.authority(directory), directory, "mail", [name])
    return MailServer(directory / "mail.crt", directory / "mail.key")


def self_signed(directory: Path) -> MailServer:
    """Like the certificate of a server that never obtained one: by itself, for the right name."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rcgen self signed cert")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("mail.example.org")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    form = serialization.PrivateFormat.PKCS8
    (directory / "own.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "own.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    )
    return MailServer(directory / "own.crt", directory / "own.key")


@pytest.mark.parametrize("port", DOORS)
def test_a_self_signed_server_is_named_by_its_lessons_and_gets_no_password(
    tmp_path: Path, authority: Path, port: int
) -> None:
    server = self_signed(tmp_path)
    with pytest.raises(AssertionError, match=r"(?s)lesson 1:.*lesson 2:.*lesson 4:.*no password was sent"):
        sign_in(server, port, settings(authority))
    assert told(server) == ""


@pytest.mark.parametrize("port", DOORS)
def test_a_server_whose_authority_nobody_knows_gets_no_password(tmp_path: Path, port: int) -> None:
    server = issued(tmp_path, "mail.example.org")
    with pytest.raises(AssertionError, match=r"(?s)no password was sent.*ACME_CA"):
        sign_in(server, port, settings(None))
    assert told(server) == ""


@pytest.mark.parametrize("port", DOORS)
def test_a_server_of_another_name_gets_no_password(tmp_path: Path, authority: Path, port: int) -> None:
    server = issued(tmp_path, "mail.example.com")
    with pytest.raises(AssertionError, match=r"(?s)lesson 4:.*mail\.example\.org: .*no password was sent"):
        sign_in(server, port, settings(authority))
    assert told(server) == ""


@pytest.mark.parametrize("port", DOORS)
def test_a_server_that_proves_its_name_is_signed_in_to(tmp_path: Path, authority: Path, port: int) -> None:
    server = issued(tmp_path, "mail.example.org")
    sign_in(server, port, settings(authority))
    assert told(server)


def test_a_file_that_is_no_pem_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing\n")
    with pytest.raises(AssertionError, match=r"ACME_CA=.*ca\.pem is no readable PEM file"):
        trust(settings(tmp_path / "ca.pem"))
