"""Passwords of accounts: strong enough, and hashed on the operator's machine. The server only receives argon2id."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count

from argon2 import PasswordHasher, Type

from tailwart.errors import TailwartError

MIN_LENGTH = 10
# The server's own policy (`passwordMinStrength` three of `x:Authentication`), which a hash would get around.
MIN_STRENGTH = 3

# The parameters of the hashes in the recorded exchanges: RFC 9106's second recommendation, 64 MiB.
HASHER = PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4, type=Type.ID)


def check_password(password: str, address: str) -> None:
    """Raises TailwartError with the reason when a password is too weak to be written."""
    if len(password) < MIN_LENGTH:
        raise TailwartError(
            "the password is too short",
            seen=f"{len(password)} characters",
            expected=f"{MIN_LENGTH} or more",
            remedy="choose a longer one, such as four random words",
        )
    from zxcvbn import zxcvbn  # noqa: PLC0415 - its word lists take long to load, and most runs set no password

    judged = zxcvbn(password[:100], user_inputs=[address, *address.replace("@", ".").split(".")])
    if judged["score"] < MIN_STRENGTH:
        advice = [judged["feedback"]["warning"], *judged["feedback"]["suggestions"]]
        raise TailwartError(
            "the password is too easy to guess",
            seen=f"strength {judged['score']} of 4" + "".join(f"; {text}" for text in advice if text)[:300],
            expected=f"strength {MIN_STRENGTH}",
            remedy="choose another one, such as four random words",
        )


def hashed(password: str) -> str:
    """The argon2id hash, with a random salt, in the form that the server stores."""
    return HASHER.hash(password)


def all_hashed(passwords: Mapping[str, str]) -> dict[str, str]:
    """Hashes by name; on all cores, because each one takes a tenth of a second by design."""
    with ThreadPoolExecutor(max_workers=cpu_count() or 1) as pool:
        return dict(zip(passwords, pool.map(hashed, passwords.values()), strict=True))
