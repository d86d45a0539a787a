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
import stringprep
import unicodedata

ITERATIONS = 4096
_SALT_LENGTH = 16
_VERIFIER = re.compile(r"SCRAM-SHA-256\$(\d{1,7}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")


def verifier(password: str, *, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """A new verifier of ``password``; a random salt unless one is given."""
    salt = secrets.token_bytes(_SALT_LENGTH) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", _prepared(password), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${iterations}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def matches(password: str, present: str) -> bool:
    """Whether ``present`` is a SCRAM-SHA-256 verifier of ``password``; an MD5 hash or nothing at all never is."""
    found = _VERIFIER.fullmatch(present)
    if found is None:
        return False
    try:
        salt = base64.b64decode(found[2], validate=True)
    except binascii.Error:
        return False
    expected = verifier(password, salt=salt, iterations=max(1, int(found[1])))
    return hmac.compare_digest(expected, present)


def _prepared(password: str) -> bytes:
    """SASLprep (RFC 4013); like PostgreSQL, a password it does not allow is taken as it is."""
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in password if not stringprep.in_table_b1(char)
    )
    text = unicodedata.normalize("NFKC", mapped)
    return (text if _allowed(text) else password).encode()


def _allowed(text: str) -> bool:
    prohibited = (
        stringprep.in_table_a1,
        stringprep.in_table_c12,
        stringprep.in_table_c21_c22,
        stringprep.in_table_c3,
        stringprep.in_table_c4,
        stringprep.in_table_c5,
        stringprep.in_table_c6,
        stringprep.in_table_c7,
        stringprep.in_table_c8,
        stringprep.in_table_c9,
    )
    if not text or any(table(char) for char in text for table in prohibited):
        return False
    if not any(map(stringprep.in_table_d1, text)):
        return True
    # RFC 3454 §6: text with right-to-left letters has no left-to-right ones, and begins and ends with such a letter.
    return (
        not any(map(stringprep.in_table_d2, text))
        and stringprep.in_table_d1(text[0])
        and stringprep.in_table_d1(text[-1])
    )
