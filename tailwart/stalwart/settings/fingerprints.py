"""Fingerprints of the passwords that were last written, kept on the mailbox host.

The server returns secrets as `****`. A fingerprint shows whether the value in `.env` is still the one that was written:
so a masked secret neither hides a change in `.env` nor causes a write on every run, and a password that a person
changed stays. Each is the argon2id hash that the server got: whoever reads the host learns nothing from it that the
server's store does not tell as well, and each guess costs what it costs there.

One more hash covers all declared passwords together. While it fits, a run needs no other: the price of a run that
changes nothing does not grow with the accounts.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from os import cpu_count

from argon2.exceptions import Argon2Error, InvalidHashError

from tailwart.hashing import HASHER

_HASH = "$argon2id$"


@dataclass(frozen=True, slots=True)
class Checked:
    """Which of the declared passwords are those written last, and whether the note says so in its shortest form."""

    unchanged: frozenset[str]
    settled: bool


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """`written` maps a secret's name to its fingerprint, `whole` is that of all declared ones together.

    `key`: hexadecimal, of a note of an earlier release, whose fingerprints were HMACs.
    """

    written: Mapping[str, str] = field(default_factory=dict)
    whole: str = ""
    key: str = ""

    def check(self, passwords: Mapping[str, str]) -> Checked:
        """Compare with the declared passwords, by name."""
        if not passwords or _fits(self.whole, _joined(passwords)):
            return Checked(frozenset(passwords), settled=not self.key)
        known = [name for name in passwords if name in self.written]
        # On all cores: each one takes a tenth of a second by design.
        with ThreadPoolExecutor(max_workers=cpu_count() or 1) as pool:
            matches = list(pool.map(lambda name: self.matches(name, passwords[name]), known))
        return Checked(frozenset(name for name, match in zip(known, matches, strict=True) if match), settled=False)

    def matches(self, name: str, value: str) -> bool:
        """Whether this one value is the one written last."""
        mark = self.written.get(name, "")
        if mark.startswith(_HASH) or not self.key:
            return _fits(mark, value)
        digest = hmac.new(bytes.fromhex(self.key), f"{name}\0{value}".encode(), hashlib.sha256).hexdigest()
        return hmac.compare_digest(mark, digest)

    def having(
        self, hashes: Mapping[str, str], declared: Mapping[str, str], unchanged: frozenset[str] = frozenset()
    ) -> Fingerprints:
        """These, with the argon2id `hashes` that were written now.

        `declared` are all declared passwords, of which `unchanged` were written before. Fingerprints of an earlier
        release become hashes where the password is known, and are dropped where it is not.
        """
        marks = {name: mark for name, mark in self.written.items() if mark.startswith(_HASH)}
        old = [name for name in unchanged if name not in marks and name not in hashes]
        with ThreadPoolExecutor(max_workers=cpu_count() or 1) as pool:
            marks |= dict(zip(old, pool.map(lambda name: HASHER.hash(declared[name]), old), strict=True))
        marks |= hashes
        complete = bool(declared) and declared.keys() <= hashes.keys() | unchanged
        return Fingerprints(marks, HASHER.hash(_joined(declared)) if complete else "")

    def dump(self) -> str:
        """The file's content."""
        return json.dumps({"written": dict(sorted(self.written.items())), "whole": self.whole})


def _joined(passwords: Mapping[str, str]) -> str:
    return json.dumps(sorted(passwords.items()))


def _fits(mark: str, value: str) -> bool:
    if not mark.startswith(_HASH):
        return False
    try:
        return HASHER.verify(mark, value)
    except (Argon2Error, InvalidHashError):
        return False


def empty() -> Fingerprints:
    """Fingerprints of nothing."""
    return Fingerprints()


def parse(text: str) -> Fingerprints:
    """The file's content read back, in the form of this release or of an earlier one.

    A damaged or absent file counts as nothing written: the secrets are then written once more, which is harmless.
    """
    try:
        document = json.loads(text)
        written = {str(name): str(mark) for name, mark in document["written"].items()}
        key = str(document.get("key") or "")
        bytes.fromhex(key)
        return Fingerprints(written, str(document.get("whole") or ""), key)
    except (ValueError, KeyError, TypeError, AttributeError):
        return empty()
