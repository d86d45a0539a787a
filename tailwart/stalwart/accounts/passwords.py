"""Passwords of accounts: strong enough, hashed on the operator's machine, and proven by a real sign-in.

The server only receives argon2id hashes. The sign-in goes over IMAP with TLS, from inside the server's namespace:
loopback is not trusted for the PROXY header, so port 993 answers there as it does to any client. The certificate is not
verified: before the first ACME order it is self-signed.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count

from argon2 import PasswordHasher, Type
from zxcvbn import zxcvbn

from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.runner import Runner
from tailwart.stalwart.protocol.container import quoted
from tailwart.stalwart.protocol.failures import SettingsError

MIN_LENGTH = 10
# The server's own policy (`passwordMinStrength` three of `x:Authentication`), which a hash would get around.
MIN_STRENGTH = 3

# The parameters of the hashes in the recorded exchanges: RFC 9106's second recommendation, 64 MiB.
HASHER = PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4, type=Type.ID)

_LOGIN_DENIED = "67"  # curl's exit code for a refused login: its manual, "EXIT CODES"


def check_password(password: str, address: str) -> None:
    """Raises TailwartError with the reason when a password is too weak to be written."""
    if len(password) < MIN_LENGTH:
        raise TailwartError(
            "the password is too short",
            seen=f"{len(password)} characters",
            expected=f"{MIN_LENGTH} or more",
            remedy="choose a longer one, such as four random words",
        )
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


def try_sign_in(run: Runner, address: str, password: str) -> str:
    """curl's exit code: "0" signed in, "67" refused, another number or "docker": IMAP could not be reached."""
    inside = (
        "IFS= read -r login; curl --silent --insecure --max-time 30 --output /dev/null "
        "--url imaps://127.0.0.1:993/ --config /dev/fd/3 3<<END\n"
        'user = "$login"\nEND\n'
        "echo code $?"
    )
    done = run(
        f"docker exec -i {names.CONTAINER} sh -c {shlex.quote(inside)}",
        stdin=quoted(address, password) + "\n",
        timeout=60,
    )
    return next((line.split()[1] for line in done.stdout.splitlines() if line.startswith("code ")), "docker")


def prove_sign_in(run: Runner, address: str, password: str) -> None:
    """Raises SettingsError unless the account can sign in over IMAP right now."""
    code = try_sign_in(run, address, password)
    if code == "0":
        return
    raise SettingsError(
        f"{address} cannot sign in over IMAP",
        seen="the server refused the login" if code == _LOGIN_DENIED else f"curl exit code {code} on 127.0.0.1:993",
        expected="a login over TLS on port 993",
        remedy="read the reason on the mailbox host: `docker logs --tail 50 stalwart`",
    )
