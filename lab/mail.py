"""Mail as people send and read it, from the lab's outside world: swaks and curl on `world`."""

from __future__ import annotations

import email
import json
import re
import secrets as random
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lab import credentials, engine, hosts, issuer, paths, topology
from lab.topology import DOMAIN, WORLD
from tailwart.errors import TailwartError

MAIL_HOST = f"mail.{DOMAIN}"
OUTSIDE_USER = f"friend@{topology.OUTSIDE_DOMAIN}"
# Seconds. A smarthost that was asleep retries after five.
ARRIVAL_TIMEOUT = 45.0
# No password goes to a server that does not prove its name, whatever address it was reached by.
_VERIFIED = ("--tls-verify", "--tls-verify-target", MAIL_HOST, "--tls-sni", MAIL_HOST, "--tls-ca-path", issuer.ON_WORLD)


@dataclass(frozen=True)
class Message:
    """Subject and body; every message gets an identity of its own, which tells it from earlier ones."""

    subject: str
    body: str
    identity: str = field(default_factory=lambda: random.token_hex(8))


def password(user: str) -> str:
    """The lab's password of a local user. Raises TailwartError for a user that the lab's .env does not make."""
    values = credentials.load()
    name = f"ACCOUNT_{user.partition('@')[0].upper()}_PASSWORD"
    if name not in values:
        raise TailwartError(f"the lab has no account {user!r}", expected="alice or bob")
    return values[name]


def send_in(recipient: str, message: Message, server: str | None = None) -> str:
    """From friend@outside.test, straight to the installation's port 25 like any other mail server."""
    target = server or _edge()
    arguments = ["--server", target, "--port", "25", "--tls-optional", "--helo", "world.lab.test"]
    return _swaks(OUTSIDE_USER, recipient, message, arguments)


def send_out(sender: str, recipient: str, message: Message, port: int = 587, server: str | None = None) -> str:
    """From a local user through the edge's submission port, with TLS and AUTH."""
    address = sender if "@" in sender else f"{sender}@{DOMAIN}"
    tls = "--tls-on-connect" if port == 465 else "--tls"
    arguments = ["--server", server or _edge(), "--port", str(port), tls, *_VERIFIED]
    arguments += ["--auth", "PLAIN", "--auth-user", address]
    return _swaks(address, recipient, message, arguments, {"SWAKS_OPT_auth_password": password(address)})


def fetch(user: str, identity: str | None = None, server: str | None = None) -> str:
    """The newest message of the user's inbox over IMAP with implicit TLS, whole.

    With ``identity`` it waits until the message with that identity is the newest. Raises TailwartError if none comes.
    """
    address = user if "@" in user else f"{user}@{DOMAIN}"
    target = server or _edge()
    return _awaited(lambda: _newest(address, target), identity, f"in the inbox of {address}", "tailwart lab send")


def fetch_outside(identity: str | None = None) -> str:
    """The newest message that reached friend@outside.test, as `fetch` does for those inside."""
    script = 'cd /home/friend/Maildir/new 2>/dev/null && newest=$(ls -t | head -1) && cat "$newest" || :'

    def newest() -> str:
        return hosts.exec("world", ["/bin/sh", "-c", script]).stdout.decode(errors="replace")

    return _awaited(newest, identity, f"in the mailbox of {OUTSIDE_USER}", "tailwart lab send --from alice")


def excerpt(text: str, fields: Sequence[str]) -> str:
    """These header fields of a message, then its body."""
    message = email.message_from_string(text)
    chosen = {name.strip().lower() for name in fields}
    lines = [f"{name}: {value}" for name, value in message.items() if name.lower() in chosen]
    body = message.get_payload(decode=True)
    return "\n".join(lines) + "\n\n" + (body.decode(errors="replace") if isinstance(body, bytes) else "")


def remember(identity: str, *, outside: bool) -> None:
    """Note the message sent last, so that `fetch` can wait for it."""
    paths.write_private(paths.state() / "last-sent.json", json.dumps({_side(outside): identity}).encode())


def last_sent(*, outside: bool) -> str | None:
    """Identity of the message that was sent last, if it went that way."""
    path = paths.state() / "last-sent.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.is_file() else {}
    return known.get(_side(outside))


def _side(outside: bool) -> str:
    return "outside" if outside else "inside"


def _awaited(newest: Callable[[], str], identity: str | None, where: str, remedy: str) -> str:
    deadline = time.monotonic() + ARRIVAL_TIMEOUT
    while True:
        text = newest()
        if text and (identity is None or identity in text):
            # Printed as it is, every line would end with a visible \u000d.
            return text.replace("\r\n", "\n")
        if identity is None or time.monotonic() > deadline:
            what = "the message sent last is not" if identity else "no message is"
            raise TailwartError(f"{what} {where}", seen=_subject(text), remedy=remedy)
        # A mail server that counts connections bans whoever polls fast (lesson 3).
        time.sleep(0.5)


def _subject(text: str) -> str:
    subject = email.message_from_string(text)["Subject"] if text else None
    return f"the newest there is {subject!r}" if subject else "an empty mailbox"


def _newest(address: str, server: str) -> str:
    found = _imap(address, server, "INBOX", "SEARCH ALL")
    numbers = [int(number) for number in re.findall(r"\d+", found.partition("SEARCH")[2])]
    return _imap(address, server, f"INBOX/;MAILINDEX={max(numbers)}", None) if numbers else ""


def _edge() -> str:
    # By name as soon as the deploy has published it; before that, by the address that the name will get.
    result = hosts.exec("world", ["dig", "+short", "+time=2", "+tries=1", "A", MAIL_HOST], check=False)
    return MAIL_HOST if result.stdout.strip() else topology.edge(1).ipv4


def _swaks(
    sender: str, recipient: str, message: Message, arguments: list[str], variables: dict[str, str] | None = None
) -> str:
    command = [
        *("swaks", "--from", sender, "--to", recipient, "--silent", "2", "--auth-hide-password", "--timeout", "30"),
        *("--header", f"Subject: {message.subject}", "--header", f"X-Lab-Message: {message.identity}"),
        *("--body", message.body, *arguments),
    ]
    result = _on_world(command, variables or {})
    if result.returncode != 0:
        words = (result.stdout + result.stderr).decode(errors="replace").strip().splitlines()
        raise TailwartError(
            f"the message from {sender} to {recipient} was not accepted",
            seen=" | ".join(words[-3:]) or f"swaks ended with exit code {result.returncode}",
            remedy="is the deploy done, and the certificate there? tailwart lab status; tailwart lab logs edge-1",
        )
    return f"accepted: {sender} → {recipient}, X-Lab-Message: {message.identity}"


def _imap(address: str, server: str, path: str, request: str | None) -> str:
    # Everything secret travels in curl's configuration on standard input. Verified is the server's name, connected to
    # is an edge.
    where = f"[{server}]" if ":" in server else server
    config = [
        *(f'url = "imaps://{MAIL_HOST}/{path}"', f'connect-to = "{MAIL_HOST}:993:{where}:993"'),
        *(f'user = "{address}:{password(address)}"', f'cacert = "{issuer.ON_WORLD}"', "silent", "show-error"),
    ]
    if request:
        quoted = request.replace("\\", "\\\\").replace('"', '\\"')
        config.append(f'request = "{quoted}"')
    command = ["curl", "--max-time", "30", "--config", "-"]
    result = hosts.exec("world", command, stdin="\n".join(config).encode(), check=False)
    if result.returncode != 0:
        raise TailwartError(
            f"the inbox of {address} cannot be read over {server}:993",
            seen=result.stderr.decode(errors="replace").strip(),
            remedy="is the deploy done, and the certificate there? tailwart lab status; docs/lessons.md 1, 2 and 4",
        )
    return result.stdout.decode(errors="replace")


def _on_world(command: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    docker = hosts.running_engine()
    arguments = engine.exec_arguments(WORLD.container, command, variables=tuple(variables))
    return docker.run(*arguments, check=False, timeout=60, environment=variables)
