"""SCRAM-SHA-256 verifiers as PostgreSQL keeps them: made and checked here, so that no password travels or is logged.

Format of ``pg_authid.rolpassword``: ``SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`` (PostgreSQL
documentation, pg_authid; keys as in RFC 5802 §3 with SHA-256, RFC 7677).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets

ITERATIONS = 4096
_SALT_LENGTH = 16
_VERIFIER = re.compile(r"SCRAM-SHA-256\$(\d{1,7}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")


def verifier(password: str, *, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """A new verifier of ``password``; a random salt unless one is given."""
    salt = secrets.token_bytes(_SALT_LENGTH) if salt is None else salt
    # Not scramp's make_auth_info: it cannot take a password as it is (see `_prepared`), nor fewer iterations than 4096,
    # which PostgreSQL's setting scram_iterations allows.
    salted = hashlib.pbkdf2_hmac("sha256", _prepared(password), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${iterations}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def matches(password: str, current: str) -> bool:
    """Whether ``current`` is a SCRAM-SHA-256 verifier of ``password``; an MD5 hash or nothing at all never is."""
    found = _VERIFIER.fullmatch(current)
    if found is None:
        return False
    try:
        salt = base64.b64decode(found[2], validate=True)
    except binascii.Error:
        return False
    expected = verifier(password, salt=salt, iterations=max(1, int(found[1])))
    return hmac.compare_digest(expected, current)


def _prepared(password: str) -> bytes:
    """SASLprep (RFC 4013) by scramp. PostgreSQL takes a password as it is where that is all ASCII, or where SASLprep
    refuses it or leaves nothing of it."""
    if password.isascii():
        return password.encode()
    from scramp.utils import ScramException, saslprep  # noqa: PLC0415 - 0.1 s to import, for a rare kind of password

    try:
        # U+200B stands in two tables of RFC 3454: for PostgreSQL it is a space, for scramp it is nothing.
        return (saslprep(password.replace("\u200b", " ")) or password).encode()
    except ScramException:
        return password.encode()
