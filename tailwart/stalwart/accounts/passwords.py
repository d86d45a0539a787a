"""Passwords of accounts: strong enough, and hashed on the operator's machine. The server only receives argon2id."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from os import cpu_count

from tailwart.errors import TailwartError
from tailwart.hashing import HASHER
from tailwart.strength import weakness

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class NewPassword:
    """A password that is about to be written."""

    value: str = field(repr=False)
    admin: bool = False


def refuse_weak(passwords: Mapping[str, NewPassword]) -> None:
    """Raises TailwartError that names every address whose password is too weak, and why."""
    found = {
        address: text
        for address, item in passwords.items()
        if (text := weakness(item.value, address, admin=item.admin))
    }
    if found:
        lines = [f"{address}: {text}" for address, text in found.items()]
        raise TailwartError(
            f"{len(found)} password{'s are' if len(found) > 1 else ' is'} too weak, and nothing was written",
            seen="\n".join(lines[:_SHOWN] + [f"{len(lines) - _SHOWN} more"] * (len(lines) > _SHOWN)),
            expected="passwords that nobody guesses",
            remedy="choose others, such as four random words, in .env or group_data/mailbox.py",
        )


def check_password(password: str, address: str, *, admin: bool = False) -> None:
    """Raises TailwartError with the reason when a password is too weak to be written."""
    if text := weakness(password, address, admin=admin):
        raise TailwartError(
            f"the password of {address} is too weak", seen=text, remedy="choose another one, such as four random words"
        )


def hashed(password: str) -> str:
    """The argon2id hash, with a random salt, in the form that the server stores."""
    return HASHER.hash(password)


def all_hashed(passwords: Mapping[str, str]) -> dict[str, str]:
    """Hashes by name; on all cores, because each one takes a tenth of a second by design."""
    with ThreadPoolExecutor(max_workers=cpu_count() or 1) as pool:
        return dict(zip(passwords, pool.map(hashed, passwords.values()), strict=True))
