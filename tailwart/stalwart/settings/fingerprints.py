"""Keyed fingerprints of the secrets that were last written.

The server returns secrets as `****`. A fingerprint shows whether the value in `.env` is still the one that was written,
without keeping it: so a masked secret neither hides a change in `.env` nor causes a write on every run. The key is
random and stays on the mailbox host, so a fingerprint alone does not allow guessing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """`key` is hexadecimal; `written` maps a secret's name to its fingerprint."""

    key: str
    written: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str, value: str) -> str:
        """The fingerprint of a value; the name is part of it, so that equal passwords do not show."""
        return hmac.new(bytes.fromhex(self.key), f"{name}\0{value}".encode(), hashlib.sha256).hexdigest()

    def matches(self, name: str, value: str) -> bool:
        """Whether this value is the one written last."""
        return hmac.compare_digest(self.written.get(name, ""), self.of(name, value))

    def having(self, values: Mapping[str, str]) -> Fingerprints:
        """These fingerprints and those of `values`, which were written now."""
        return Fingerprints(
            self.key, {**self.written, **{name: self.of(name, value) for name, value in values.items()}}
        )

    def dump(self) -> str:
        """The file's content."""
        return json.dumps({"key": self.key, "written": dict(sorted(self.written.items()))})


def empty() -> Fingerprints:
    """Fingerprints of nothing, with a new random key."""
    return Fingerprints(secrets.token_hex(32))


def parse(text: str) -> Fingerprints:
    """The file's content read back.

    A damaged or absent file counts as nothing written: the secrets are then written once more, which is harmless.
    """
    try:
        document = json.loads(text)
        bytes.fromhex(document["key"])
        return Fingerprints(str(document["key"]), {str(name): str(mark) for name, mark in document["written"].items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        return empty()
