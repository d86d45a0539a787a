"""A real sign-in, from inside the server's namespace, with the service that mail clients would use.

Loopback is not trusted for the PROXY header, so the services answer there as they do to any client. The certificate is
not verified: before the first ACME order it is self-signed.
"""

from __future__ import annotations

import shlex

from tailwart.mailbox import names
from tailwart.network import DEFAULT_SERVICES, IMAP, IMAPS, POP3S, SUBMISSION, SUBMISSIONS, Services
from tailwart.runner import Runner
from tailwart.stalwart.protocol.container import quoted
from tailwart.stalwart.protocol.failures import SettingsError

# curl's exit codes for a refused login (its manual, "EXIT CODES"): 67 in mail protocols, 22 (`--fail`) for HTTP 401.
_LOGIN_DENIED = frozenset({"67", "22"})
_SCHEMES = {IMAPS: "imaps", IMAP: "imap", POP3S: "pop3s", SUBMISSIONS: "smtps", SUBMISSION: "smtp"}


def sign_in_url(services: Services) -> str:
    """Where a client would sign in: the first of IMAP, POP3 and submission that is on, otherwise JMAP.

    >>> sign_in_url(Services.parse("smtp,submissions"))
    'smtps://127.0.0.1:465/'
    """
    service = next((item for item in _SCHEMES if item in services.on), None)
    return f"{_SCHEMES[service]}://127.0.0.1:{service.port}/" if service else f"{names.BASE}/jmap/session"


def sign_in_protocol(services: Services) -> str:
    """The name of the protocol that `sign_in_url` speaks, for the operator."""
    return {"imap": "IMAP", "pop3": "POP3", "smtp": "SMTP"}.get(sign_in_url(services)[:4].rstrip("s:"), "JMAP")


def try_sign_in(run: Runner, address: str, password: str, services: Services = DEFAULT_SERVICES) -> str:
    """curl's exit code: "0" signed in, "67" or "22" refused, another number or "docker": it could not be reached."""
    url = sign_in_url(services)
    starttls = "" if url.startswith("http:") else "--ssl-reqd "
    inside = (
        "IFS= read -r login; curl --silent --fail --insecure --max-time 30 --output /dev/null "
        f"{starttls}--url {url} --config /dev/fd/3 3<<END\n"
        'user = "$login"\nEND\n'
        "echo code $?"
    )
    done = run(
        f"docker exec -i {names.CONTAINER} sh -c {shlex.quote(inside)}",
        stdin=quoted(address, password) + "\n",
        timeout=60,
    )
    return next((line.split()[1] for line in done.stdout.splitlines() if line.startswith("code ")), "docker")


def prove_sign_in(run: Runner, address: str, password: str, services: Services = DEFAULT_SERVICES) -> None:
    """Raises SettingsError unless the account can sign in right now."""
    code = try_sign_in(run, address, password, services)
    if code == "0":
        return
    url = sign_in_url(services)
    raise SettingsError(
        f"{address} cannot sign in",
        seen="the server refused the login" if code in _LOGIN_DENIED else f"curl exit code {code}",
        expected=f"a login at {url} in the mailbox's namespace",
        remedy="read the reason on the mailbox host: `docker logs --tail 50 stalwart`",
    )
