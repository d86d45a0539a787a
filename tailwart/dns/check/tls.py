"""The certificate that mail clients and servers meet at an edge, and the DANE records about it."""

from __future__ import annotations

import hashlib
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tailwart.dns.check.findings import Finding, ok, unknown, wrong
from tailwart.network import SMTP
from tailwart.providers.record import Record

TIMEOUT = 8.0

_RENEWAL_DUE = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Seen:
    """A server's certificate, and why this machine does not trust it ("" when it does)."""

    certificate: x509.Certificate
    distrust: str


def fetch(address: IPv4Address | IPv6Address, port: int, name: str, roots: str | None = None) -> Seen:
    """The certificate at a port, by STARTTLS on 25. Raises `OSError` when there is no TLS.

    ``roots`` is a file whose authorities count beside the machine's own (ACME_CA).
    """
    return _judged(lambda context: _certificate(address, port, name, context), roots)


def judged(secured: Callable[[ssl.SSLContext], ssl.SSLSocket], roots: str | None = None) -> Seen:
    """The certificate of a connection that the caller secures; the connection is closed. Raises `OSError`."""

    def certificate(context: ssl.SSLContext) -> x509.Certificate:
        with secured(context) as connection:
            return _parse(connection)

    return _judged(certificate, roots)


def _judged(certificate: Callable[[ssl.SSLContext], x509.Certificate], roots: str | None) -> Seen:
    trusting = ssl.create_default_context()
    if roots:
        trusting.load_verify_locations(Path(roots).expanduser())
    try:
        return Seen(certificate(trusting), "")
    except ssl.SSLCertVerificationError as error:
        # To judge a certificate that does not verify, it has to be fetched all the same; nothing is sent over it.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return Seen(certificate(context), error.verify_message)


def meet(address: IPv4Address | IPv6Address, port: int) -> tuple[str, x509.Certificate]:
    """The name in a server's 220 greeting, lower case, and its certificate by STARTTLS, in one connection.

    The certificate is only read, not verified. Raises `OSError` when there is no greeting or no TLS.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with smtplib.SMTP(local_hostname="tailwart-check.invalid", timeout=TIMEOUT) as client:
            code, text = client.connect(str(address), port)
            words = text.decode("ascii", "replace").split()
            if code != 220 or not words:
                raise OSError(f"no greeting: {code}")
            client._host = str(address)  # type: ignore[attr-defined]  # else a name is missing that TLS insists on
            client.starttls(context=context)
            assert isinstance(client.sock, ssl.SSLSocket)
            return words[0].lower().rstrip("."), _parse(client.sock)
    except smtplib.SMTPException as error:
        raise OSError(f"no SMTP with STARTTLS: {type(error).__name__}") from error


def check_certificate(edge: str, seen: Seen, name: str, *, acme: bool, trust_required: bool) -> Iterator[Finding]:
    """Names, issuer, dates and trust of the certificate of the mail host; ``acme``: the server is to obtain one."""
    certificate = seen.certificate
    subject = f"{name} at {edge}"
    issuer = certificate.issuer.rfc4514_string()
    if "rcgen" in issuer:
        yield wrong(
            "certificate",
            subject,
            "is Stalwart's own self-signed one, no certificate was ever obtained",
            remedy="set ACME_DIRECTORY and ACME_CONTACT and run the mailbox role; read the server's log for ACME",
            required=acme,
            lesson=1,
        )
        return
    names = names_of(certificate)
    if covers(names, name):
        yield ok("certificate", subject, f"names {', '.join(sorted(names))}")
    else:
        yield wrong(
            "certificate",
            subject,
            f"is for {', '.join(sorted(names)) or 'no name'}",
            remedy=f"it must name {name} or *.{name.split('.', 1)[1]}: check certificateManagement of the domain",
            lesson=4,
        )
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    if left < timedelta():
        yield wrong("certificate", subject, f"expired {-left.days} days ago", remedy="check the ACME renewal task")
    elif left < _RENEWAL_DUE:
        yield wrong(
            "certificate",
            subject,
            f"expires in {left.days} days, renewal is overdue",
            remedy="check the ACME renewal task",
            required=False,
        )
    if seen.distrust and left >= timedelta():
        yield wrong(
            "certificate",
            subject,
            f"is not trusted here: {seen.distrust}",
            remedy=f"it was issued by {issuer}: use a CA that clients trust",
            required=trust_required,
        )


def check_dane(port: int, seen: Seen, records: Iterable[Record], subject: str) -> Finding:
    """Whether one TLSA record of a port matches the certificate there (RFC 6698, RFC 7672)."""
    published = list(records)
    authority_only = True
    for entry in published:
        usage, selector, matching, data = entry.value.split(None, 3)
        if usage in {"1", "3"}:
            authority_only = False
            if _association(seen.certificate, selector, matching) == data.replace(" ", "").lower():
                return ok("dane", subject, f"TLSA {usage} {selector} {matching} matches")
    if authority_only:
        return unknown("dane", subject, "only records about the CA, whose certificate is not checked", required=False)
    desired = _association(seen.certificate, "1", "1")
    return wrong(
        "dane",
        subject,
        "no TLSA record matches the certificate: servers that verify DANE refuse to deliver",
        remedy=f"add: _{port}._tcp.mail TLSA 3 1 1 {desired}, and remove the others (`tailwart dns apply`)",
    )


def names_of(certificate: x509.Certificate) -> set[str]:
    """The DNS names of a certificate."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return {name.lower() for name in extension.value.get_values_for_type(x509.DNSName)}


def covers(names: set[str], host: str) -> bool:
    """Whether one of the names is the host, or a wildcard for its last label's place (RFC 6125 §6.4.3)."""
    return host in names or f"*.{host.split('.', 1)[1]}" in names


def _association(certificate: x509.Certificate, selector: str, matching: str) -> str:
    data = (
        certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if selector == "1"
        else certificate.public_bytes(Encoding.DER)
    )
    if matching == "0":
        return data.hex()
    return hashlib.new("sha256" if matching == "1" else "sha512", data).hexdigest()


def _certificate(address: IPv4Address | IPv6Address, port: int, name: str, context: ssl.SSLContext) -> x509.Certificate:
    if port == SMTP.port:
        return _starttls(address, port, name, context)
    with (
        socket.create_connection((str(address), port), timeout=TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=name) as secured,
    ):
        return _parse(secured)


def _starttls(address: IPv4Address | IPv6Address, port: int, name: str, context: ssl.SSLContext) -> x509.Certificate:
    try:
        with smtplib.SMTP(str(address), port, local_hostname="tailwart-check.invalid", timeout=TIMEOUT) as client:
            # smtplib would verify against the address it connected to.
            client._host = name  # type: ignore[attr-defined]  # no public way to name the server
            client.starttls(context=context)
            assert isinstance(client.sock, ssl.SSLSocket)
            return _parse(client.sock)
    except smtplib.SMTPException as error:
        raise OSError(f"no STARTTLS: {type(error).__name__}") from error


def _parse(secured: ssl.SSLSocket) -> x509.Certificate:
    octets = secured.getpeercert(binary_form=True)
    if octets is None:
        raise OSError("the server showed no certificate")
    return x509.load_der_x509_certificate(octets)
