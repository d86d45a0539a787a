"""Whether a new server does its work: it answers, listens, trusts the edges, and a message arrives in a mailbox.

And how long nobody was there: a port is watched meanwhile, inside the sidecar's network.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.network import Service
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle import probing
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, stored_login
from tailwart.stalwart.protocol.jmap import Call
from tailwart.upgrade import watching

MAIL_SECONDS = 60
_SMTP = 25
_ADMIN = 8080
_ACCEPTED = re.compile(r"< 250 .*queued with id ([0-9a-f]+)", re.IGNORECASE)

_ALPHABET = "abcdefghijklmnopqrstuvwxyz792013"

_ANSWERS = "nsenter --target \"${pid:-0}\" --net timeout 2 bash -c 'exec 3<>/dev/tcp/127.0.0.1/@port@'"
_LOOK_AGAIN = f"pid=$(docker inspect --format '{{{{.State.Pid}}}}' {names.SIDECAR} 2>/dev/null) || pid="


def begin_watch(run: Runner, services: Iterable[Service]) -> None:
    """Watch a port from now on; where that is not possible, the downtime stays unknown."""
    ports = [service.port for service in services]
    port = _SMTP if _SMTP in ports else next(iter(ports), _ADMIN)
    watching.begin(run, _ANSWERS.replace("@port@", str(port)), _LOOK_AGAIN)


def prove(run: Runner, services: Iterable[Service], recipient: str, subject: str) -> None:
    """Raise `TailwartError` when the server that runs now does not do its work; ``recipient`` gets one message."""
    public = list(services)
    probing.wait_until_live(run)
    probing.prove_sockets(run, {service.port for service in public})
    probing.prove_trust(run, public)
    if _SMTP in {service.port for service in public}:
        _prove_mail(run, recipient, subject)


def _prove_mail(run: Runner, recipient: str, subject: str) -> None:
    queued = _send(run, recipient, subject)
    client = Client(ContainerTransport(run, stored_login()))
    for _ in range(MAIL_SECONDS):
        (answer,) = client.call([Call("QueuedMessage", "get", {"ids": [queued]})])
        if not answer.objects:
            return
        run("sleep 1", timeout=30)
    raise TailwartError(
        "a message is accepted and does not arrive in its mailbox",
        seen=f"the message to {recipient} is still in the queue (queue id {queued})",
        expected=f"its delivery within {MAIL_SECONDS} s",
        remedy="look at `docker logs stalwart` on the mailbox host",
    )


def jmap_id(number: int) -> str:
    """The server's own writing of a number as an id of JMAP.

    >>> jmap_id(0), jmap_id(33)
    ('a', 'bb')
    """
    digits = _ALPHABET[number & 31]
    while number := number >> 5:
        digits = _ALPHABET[number & 31] + digits
    return digits


def _send(run: Runner, recipient: str, subject: str) -> str:
    """Deliver a message on the server's own port 25; returns its JMAP id in the queue."""
    # A sender's domain that cannot exist has no policy that its message could fail.
    text = (
        f"From: tailwart <proof@tailwart.invalid>\r\nTo: <{recipient}>\r\nSubject: {subject}\r\n"
        f"Message-ID: <{secrets.token_hex(12)}@tailwart.invalid>\r\nAuto-Submitted: auto-generated\r\n\r\n"
        f"{subject}.\r\nThis message proves that the server takes mail and delivers it.\r\n"
    )
    curl = f"curl --verbose --max-time 90 --mail-from '<>' --mail-rcpt {recipient} --upload-file -"
    done = run(
        f"docker exec -i {names.CONTAINER} {curl} smtp://127.0.0.1:{_SMTP}/tailwart.invalid 2>&1",
        stdin=text,
        timeout=120,
    )
    accepted = _ACCEPTED.search(done.stdout)
    if not done.ok or accepted is None:
        said = [line for line in done.stdout.splitlines() if line.startswith(("< ", "curl:"))]
        raise TailwartError(
            "the server does not accept a message on port 25",
            seen="\n".join(said[-4:]) or "no answer",
            expected=f"a message to {recipient} to be queued",
            remedy="look at `docker logs stalwart` on the mailbox host",
        )
    return jmap_id(int(accepted[1], 16))
