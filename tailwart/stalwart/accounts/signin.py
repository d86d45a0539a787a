"""A real sign-in, from inside the server's namespace, with the service that mail clients would use.

Loopback is not trusted for the PROXY header, so the services answer there as they do to any client. The certificate is
verified, for the server's public name. Where it is not valid (before the first order it is self-signed), the password
is not sent over that connection, but to the server's own HTTP port, which never leaves the namespace.
"""

from __future__ import annotations

import shlex

from tailwart.mailbox import names
from tailwart.network import DEFAULT_SERVICES, IMAP, IMAPS, POP3S, SUBMISSION, SUBMISSIONS, Services
from tailwart.runner import Runner
from tailwart.stalwart.protocol.container import quoted
from tailwart.stalwart.protocol.failures import SettingsError
from tailwart.stalwart.protocol.transport import SESSION_PATH

# curl's exit codes for a refused login (its manual, "EXIT CODES"): 67 in mail protocols, 22 (`--fail`) for HTTP 401.
REFUSED = frozenset({"67", "22"})
# The same list: the certificate is not one that the container trusts, or is for another name.
_NOT_VERIFIED = "60"
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
    return _try(run, address, password, services, "localhost")[1]


def _try(run: Runner, address: str, password: str, services: Services, host: str) -> tuple[str, str]:
    """The protocol that was signed in with, and curl's exit code; the certificate must be for the name ``host``."""
    url = sign_in_url(services)
    scheme, _, port = url.rstrip("/").partition("://127.0.0.1:")
    starttls = "" if url.startswith("http:") else "--ssl-reqd "
    verified = f"{starttls}--connect-to {host}:{port}:127.0.0.1:{port} --url {scheme}://{host}:{port}/"
    plain = f"--url {names.BASE}{SESSION_PATH}"
    inside = (
        "IFS= read -r login\n"
        'ask() { curl --silent --fail --max-time 30 --output /dev/null --config /dev/fd/3 "$@" 3<<END\n'
        'user = "$login"\nEND\n}\n'
        f"ask {plain if url.startswith('http:') else verified}; code=$?; said={sign_in_protocol(services)}\n"
        f"if [ $code = {_NOT_VERIFIED} ]; then ask {plain}; code=$?; said=JMAP; fi\n"
        "echo code $said $code"
    )
    done = run(
        f"docker exec -i {names.CONTAINER} sh -c {shlex.quote(inside)}",
        stdin=quoted(address, password) + "\n",
        timeout=90,
    )
    found = next((line.split()[1:] for line in done.stdout.splitlines() if line.startswith("code ")), ["", "docker"])
    return found[0], found[1]


def prove_sign_in(
    run: Runner, address: str, password: str, services: Services = DEFAULT_SERVICES, host: str = "localhost"
) -> str:
    """The protocol that the account signed in with right now; raises SettingsError when it cannot."""
    protocol, code = _try(run, address, password, services, host)
    if code == "0":
        return protocol
    raise SettingsError(
        f"{address} cannot sign in",
        seen="the server refused the login" if code in REFUSED else f"curl exit code {code}",
        expected=f"a login at {sign_in_url(services)} in the mailbox's namespace",
        remedy="read the reason on the mailbox host: `docker logs --tail 50 stalwart`",
    )
