"""Mail as people send and read it, from the lab's outside world: swaks and curl on `world`."""

from __future__ import annotations

import re
import secrets as random
import subprocess
from dataclasses import dataclass, field

from lab import credentials, engine, hosts, topology
from lab.topology import DOMAIN, WORLD
from tailwart.errors import TailwartError

MAIL_HOST = f"mail.{DOMAIN}"


@dataclass(frozen=True)
class Message:
    """Subject and body; every message gets an identity of its own, so that it can be told from earlier ones."""

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
    return _swaks(f"friend@{topology.OUTSIDE_DOMAIN}", recipient, message, arguments)


def send_out(sender: str, recipient: str, message: Message, port: int = 587, server: str | None = None) -> str:
    """From a local user through the edge's submission port, with TLS and AUTH."""
    address = sender if "@" in sender else f"{sender}@{DOMAIN}"
    tls = "--tls-on-connect" if port == 465 else "--tls"
    arguments = ["--server", server or _edge(), "--port", str(port), tls, "--auth", "PLAIN", "--auth-user", address]
    return _swaks(address, recipient, message, arguments, {"SWAKS_OPT_auth_password": password(address)})


def fetch(user: str, subject: str | None = None, server: str | None = None) -> str:
    """The newest message of the user's inbox over IMAP with implicit TLS, whole. Raises TailwartError if none."""
    address = user if "@" in user else f"{user}@{DOMAIN}"
    target = server or _edge()
    criterion = f'SUBJECT "{subject}"' if subject else "ALL"
    found = _imap(address, target, f"imaps://{target}/INBOX", f"SEARCH {criterion}")
    numbers = re.findall(r"\d+", found.partition("SEARCH")[2])
    if not numbers:
        wanted = f" with the subject {subject!r}" if subject else ""
        raise TailwartError(f"no message{wanted} in the inbox of {address}", remedy="tailwart lab send")
    return _imap(address, target, f"imaps://{target}/INBOX/;MAILINDEX={max(map(int, numbers))}", None)


def fetch_outside(subject: str | None = None) -> str:
    """The newest message that reached friend@outside.test. Raises TailwartError if there is none."""
    script = (
        "cd /home/friend/Maildir/new 2>/dev/null || exit 0; for file in $(ls -t); do "
        '[ -z "$1" ] || grep -qiF "Subject: $1" "$file" || continue; cat "$file"; exit 0; done'
    )
    text = hosts.exec("world", ["/bin/sh", "-c", script, "sh", subject or ""]).stdout.decode(errors="replace")
    if not text:
        raise TailwartError("no message reached friend@outside.test", remedy="tailwart lab send --from alice")
    return text


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
            remedy="is the deploy done? tailwart lab status; tailwart lab logs edge-1",
        )
    return f"accepted: {sender} → {recipient}, X-Lab-Message: {message.identity}"


def _imap(address: str, server: str, url: str, request: str | None) -> str:
    # Everything secret travels in curl's configuration on standard input. The certificate may still be self-signed.
    config = [f'url = "{url}"', f'user = "{address}:{password(address)}"', "insecure", "silent", "show-error"]
    if request:
        quoted = request.replace("\\", "\\\\").replace('"', '\\"')
        config.append(f'request = "{quoted}"')
    command = ["curl", "--max-time", "30", "--config", "-"]
    result = hosts.exec("world", command, stdin="\n".join(config).encode(), check=False)
    if result.returncode != 0:
        raise TailwartError(
            f"the inbox of {address} cannot be read over {server}:993",
            seen=result.stderr.decode(errors="replace").strip(),
            remedy="is the deploy done? tailwart lab status",
        )
    return result.stdout.decode(errors="replace")


def _on_world(command: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    docker = hosts.running_engine()
    arguments = engine.exec_arguments(WORLD.container, command, variables=tuple(variables))
    return docker.run(*arguments, check=False, timeout=60, environment=variables)
