"""A real sign-in over IMAP with TLS, from inside the server's namespace.

Loopback is not trusted for the PROXY header, so port 993 answers there as it does to any client. The certificate is
not judged: before the first ACME order it is self-signed.
"""

from __future__ import annotations

import shlex

from tailwart.mailbox import names
from tailwart.runner import Runner
from tailwart.stalwart.protocol.container import quoted
from tailwart.stalwart.protocol.failures import SettingsError

_LOGIN_DENIED = "67"  # curl's exit code for a refused login


def try_sign_in(run: Runner, address: str, password: str, container: str = names.CONTAINER, port: int = 993) -> str:
    """curl's exit code: "0" signed in, "67" refused, anything else: IMAP could not be asked."""
    inside = (
        "IFS= read -r login; curl --silent --insecure --max-time 30 --output /dev/null "
        f"--url imaps://127.0.0.1:{port}/ --config /dev/fd/3 3<<END\n"
        'user = "$login"\nEND\n'
        "echo code $?"
    )
    done = run(
        f"docker exec -i {shlex.quote(container)} sh -c {shlex.quote(inside)}",
        stdin=quoted(address, password) + "\n",
        timeout=60,
    )
    return next((line.split()[1] for line in done.stdout.splitlines() if line.startswith("code ")), "docker")


def prove_sign_in(run: Runner, address: str, password: str, container: str = names.CONTAINER) -> None:
    """Raises SettingsError unless the account can sign in over IMAP right now."""
    code = try_sign_in(run, address, password, container)
    if code == "0":
        return
    raise SettingsError(
        f"{address} cannot sign in over IMAP",
        seen="the server refused the login" if code == _LOGIN_DENIED else f"curl exit code {code} on 127.0.0.1:993",
        expected="a login over TLS on port 993",
        remedy="`docker logs --tail 50 stalwart` on the mailbox host names the reason",
    )
