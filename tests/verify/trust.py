"""Whom the verification sends a password to: a server that proves to be the installation's, and nobody else."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any, NoReturn

from tailwart.environment import Environment
from tailwart.lessons import LESSONS
from tests.verify.trap import avoided

# X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT and X509_V_ERR_HOSTNAME_MISMATCH of OpenSSL's x509_vfy.h.
_SELF_SIGNED, _OTHER_NAME = 18, 62


class ServerContext(ssl.SSLContext):
    """TLS with a server that proves this name, at whatever address it was reached."""

    name: str

    def wrap_socket(self, sock: socket.socket, *_: Any, **__: Any) -> ssl.SSLSocket:
        """The secured connection; fails, with the lesson behind it, before anything was sent over it."""
        try:
            return super().wrap_socket(sock, server_hostname=self.name)
        except ssl.SSLCertVerificationError as error:
            _distrusted(self.name, error)


def trust(environment: Environment) -> ServerContext:
    """What the settings say: the name is mail.DOMAIN, and the roots of ACME_CA count beside the machine's own."""
    context = ServerContext(ssl.PROTOCOL_TLS_CLIENT)
    context.name = environment.mail_host
    context.load_default_certs()
    if environment.acme_ca:
        try:
            context.load_verify_locations(Path(environment.acme_ca).expanduser())
        except OSError as error:  # ssl.SSLError is one
            raise AssertionError(f"ACME_CA={environment.acme_ca} is no readable PEM file: {error}") from error
    return context


def _distrusted(name: str, error: ssl.SSLCertVerificationError) -> NoReturn:
    seen = f"{name}: {error.verify_message}; no password was sent"
    if error.verify_code == _SELF_SIGNED:
        lessons = "\n".join(str(LESSONS[number]) for number in (1, 2, 4))
        raise AssertionError(f"the server still has its own self-signed certificate\n{lessons}\n  seen:   {seen}")
    avoided(4, error.verify_code != _OTHER_NAME, seen)
    raise AssertionError(
        f"the server's certificate is not trusted\n  seen:   {seen}\n"
        "  remedy: `tailwart dns check` judges it. ACME_STAGING=true brings certificates that nobody trusts; the roots "
        "of a private authority belong in the file that ACME_CA names."
    )
