"""Whether a password is strong enough: one check for every password of `.env`, group data and the command line."""

from __future__ import annotations

MIN_LENGTH = 10
ADMIN_MIN_LENGTH = 12
# The server's own policy (`passwordMinStrength` three of `x:Authentication`), which a hash would get around.
MIN_STRENGTH = 3
_JUDGED = 100


def weakness(password: str, name: str, *, admin: bool = False) -> str:
    """Why a password is too weak, without the password; empty for a good one. ``name`` is whose it is: an address."""
    shortest = ADMIN_MIN_LENGTH if admin else MIN_LENGTH
    if len(password) < shortest:
        return f"{len(password)} character{'s' * (len(password) != 1)}, expected {shortest} or more"
    from zxcvbn import zxcvbn  # noqa: PLC0415 - its word lists take long to load, and most runs set no password

    judged = zxcvbn(password[:_JUDGED], user_inputs=[name, *name.replace("@", ".").split(".")])
    if judged["score"] >= MIN_STRENGTH:
        return ""
    # Only the texts of zxcvbn's own list: none repeats the password.
    advice = [judged["feedback"]["warning"], *judged["feedback"]["suggestions"]]
    reason = f"easy to guess, strength {judged['score']} of 4, expected {MIN_STRENGTH}"
    return reason + "".join(f"; {text}" for text in advice if text)[:300]
