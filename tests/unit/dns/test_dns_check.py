"""What `tailwart dns check` says about certificates, DANE, MTA-STS, and how it looks at ports: on real sockets."""

from __future__ import annotations

import hashlib
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from tailwart.dns.check import policy, tls
from tailwart.dns.check.findings import Finding, State
from tailwart.dns.reachability import Reach, connect, remote_vantage
from tailwart.providers.record import Record
from tailwart.runner import Completed
from tests.daemons import free_port
from tests.unit.dns.tls_hosts import tls_server

HERE = IPv4Address("127.0.0.1")
HOST = "mail.example.org"


def certificate(directory: Path, *names: str, issuer: str = "Some CA", days: int = 60) -> tuple[Path, x509.Certificate]:
    """A self-signed certificate with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=90))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path, made


def findings_of(directory: Path, *names: str, issuer: str = "Some CA", days: int = 60) -> list[Finding]:
    """The findings about a server with such a certificate."""
    pem, _ = certificate(directory, *names, issuer=issuer, days=days)
    with tls_server(pem) as port:
        seen = tls.fetch(HERE, port, HOST)
    return list(tls.check_certificate("edge-1", seen, HOST, acme=True, trust_required=True))


def test_stalwarts_own_certificate_is_lesson_1(tmp_path: Path) -> None:
    (finding,) = findings_of(tmp_path, "localhost", issuer="rcgen self signed cert")
    assert finding.fails
    assert finding.lesson == 1


def test_a_certificate_for_another_name_fails(tmp_path: Path) -> None:
    findings = findings_of(tmp_path, "mail.example.com")
    assert any(finding.fails and "mail.example.com" in finding.detail for finding in findings)


def test_a_wildcard_covers_the_mail_host_and_distrust_is_reported(tmp_path: Path) -> None:
    findings = findings_of(tmp_path, "*.example.org", "example.org")
    assert findings[0].state is State.OK
    assert any("not trusted" in finding.detail for finding in findings[1:])


def test_an_expired_certificate_fails(tmp_path: Path) -> None:
    findings = findings_of(tmp_path, HOST, days=-3)
    assert any(finding.fails and "expired" in finding.detail for finding in findings)


def test_dane_records_match_the_key_or_fail(tmp_path: Path) -> None:
    pem, made = certificate(tmp_path, HOST)
    with tls_server(pem) as port:
        seen = tls.fetch(HERE, port, HOST)
    key = made.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    good = Record("_25._tcp.mail", "TLSA", f"3 1 1 {hashlib.sha256(key).hexdigest()}")
    bad = Record("_25._tcp.mail", "TLSA", f"3 1 1 {'00' * 32}")
    assert tls.check_dane(25, seen, [bad, good], "x").state is State.OK
    failed = tls.check_dane(25, seen, [bad], "x")
    assert failed.fails
    assert hashlib.sha256(key).hexdigest() in failed.remedy


@pytest.mark.parametrize(
    ("text", "state", "required"),
    [
        (f"version: STSv1\nmode: enforce\nmx: {HOST}\nmax_age: 604800\n", State.OK, False),
        ("version: STSv1\r\nmode: enforce\r\nmx: *.example.org\r\nmax_age: 604800\r\n", State.OK, False),
        (f"version: STSv1\nmode: testing\nmx: {HOST}\nmax_age: 604800\n", State.OK, False),
        ("version: STSv1\nmode: enforce\nmx: mx.other.example\nmax_age: 604800\n", State.WRONG, True),
        ("version: STSv1\nmode: enforce\nmx: *.org\nmax_age: 604800\n", State.WRONG, True),
        ("<!doctype html>", State.WRONG, False),
    ],
)
def test_an_mta_sts_policy_is_judged(text: str, state: State, required: bool) -> None:
    (finding,) = policy.check("mta-sts.example.org", text, [HOST])
    assert (finding.state, finding.required) == (state, required)


def test_a_port_of_this_machine_answers_or_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert connect(HERE, listener.getsockname()[1]).reach is Reach.ANSWERS
    assert connect(HERE, free_port()).reach is Reach.SILENT


def test_another_host_looks_with_nothing_but_bash() -> None:
    def run(script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        done = subprocess.run(
            ["sh", "-c", script], input=stdin, timeout=timeout, capture_output=True, text=True, check=False
        )
        return Completed(done.returncode == 0, done.stdout, done.stderr)

    reach = remote_vantage("another host", run, "192.0.2.1").connect
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert reach(HERE, listener.getsockname()[1]).reach is Reach.ANSWERS
    assert reach(HERE, free_port()).reach is Reach.SILENT
