"""The lab's certificate authority and the certificates of its hosts."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab import paths

_LIFE = datetime.timedelta(days=3650)
# Clocks of a laptop that slept and of its virtual machine may differ.
_SKEW = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class Authority:
    """The CA; `pem` is what goes into trust stores."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def authority(directory: Path) -> Authority:
    """The CA kept in this directory; made when it is not there."""
    certificate_file, key_file = directory / "ca.crt", directory / "ca.key"
    if certificate_file.is_file() and key_file.is_file():
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return Authority(x509.load_pem_x509_certificate(certificate_file.read_bytes()), key)
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("tailwart lab CA")
    certificate = (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    # Key first: a certificate without its key would be taken for a whole authority by nobody.
    paths.write_private(key_file, _key_pem(key))
    paths.write_private(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return Authority(certificate, key)


def ensure_certificate(issuer: Authority, directory: Path, name: str, subjects: Sequence[str]) -> bool:
    """NAME.crt and NAME.key for these names and addresses in `directory`; True when they had to be made."""
    certificate_file, key_file = directory / f"{name}.crt", directory / f"{name}.key"
    if certificate_file.is_file() and key_file.is_file():
        present = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        if (
            present.issuer == issuer.certificate.subject
            and _signed_by(present, issuer)
            and _names(present) == set(subjects)
        ):
            return False
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(subjects[0]), issuer.certificate.subject, key.public_key())
        .add_extension(x509.SubjectAlternativeName([_general(each) for each in subjects]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()),  # OpenSSL's strict mode
            critical=False,
        )
        .sign(issuer.key, hashes.SHA256())
    )
    paths.write_private(key_file, _key_pem(key))
    paths.write_private(certificate_file, certificate.public_bytes(serialization.Encoding.PEM) + issuer.pem, 0o644)
    return True


def _signed_by(certificate: x509.Certificate, issuer: Authority) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer.certificate)
    except Exception:  # the library raises InvalidSignature, ValueError or TypeError: all mean no
        return False
    return True


def _names(certificate: x509.Certificate) -> set[str]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    dns = extension.get_values_for_type(x509.DNSName)
    return {*dns, *(str(each) for each in extension.get_values_for_type(x509.IPAddress))}


def _general(subject: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(subject))
    except ValueError:
        return x509.DNSName(subject)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFE)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
