"""A message in and a message out, through the public door and back."""

from __future__ import annotations

import email
import imaplib
import re
import uuid
from collections.abc import Iterator
from email.message import EmailMessage

import pytest
from testinfra.host import Host

from tailwart.environment import Account, Edge, Environment
from tests.verify.services import first, public, tailnet
from tests.verify.trap import avoided
from tests.verify.trust import trust
from tests.verify.tunnel import Tunnel, imap, smtp, ssh_client, submission
from tests.waiting import until

TAILNET_ADDRESS = re.compile(r"\[(?:100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|fd7a:115c:a1e0:)")


@pytest.fixture(scope="module")
def tunnel(environment: Environment) -> Iterator[Tunnel]:
    """TCP connections as the mailbox host makes them."""
    if environment.mailbox_ssh is None:
        pytest.skip("role mailbox is not configured: MAILBOX_SSH is not set")
    with ssh_client(environment, environment.mailbox_ssh) as client:
        yield Tunnel(client)


@pytest.fixture(scope="module")
def account(environment: Environment) -> Account:
    """The first mail account of the installation."""
    if not environment.accounts:
        pytest.skip("ACCOUNTS is not set: there is no mailbox to read")
    return environment.accounts[0]


def public_address(edge: Edge) -> str:
    """Where the world reaches the edge."""
    return str(edge.ipv4 or edge.ipv6 or edge.ssh.host)


def door(environment: Environment, edge: Edge, mailbox: Host, *names: str) -> tuple[str, int]:
    """Address and port of the first of these services that is on: at the edge, or at the mailbox itself where none of
    them is public. Only the ranges of the tailnet must send a PROXY header there, and the mailbox host is not in them.
    """
    offered, inside = public(environment, edge), tailnet(environment)
    if name := first(offered, *names):
        return public_address(edge), offered[name]
    if name := first(inside, *names):
        address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return mailbox.check_output(f"docker inspect -f '{address}' ts-stalwart").strip(), inside[name]
    pytest.skip(f"MAIL_SERVICES names none of {', '.join(names)}")


def letter(sender: str, recipient: str, token: str) -> EmailMessage:
    """A message that can be found again by its subject."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, recipient, f"tailwart verification {token}"
    message["Message-ID"] = f"<{token}@verify.invalid>"
    message.set_content("Sent by the verification of a tailwart installation; it deletes what it finds again.\n")
    return message


def test_a_message_from_outside_arrives_with_its_senders_own_address(
    environment: Environment, edge: Edge, account: Account, tunnel: Tunnel, mailbox: Host
) -> None:
    if "smtp" not in public(environment, edge):
        pytest.skip(f"{edge.name} takes no mail from other servers")
    inbox = door(environment, edge, mailbox, "imaps", "imap")
    token = uuid.uuid4().hex
    address = f"{account.name}@{environment.domain}"
    with smtp(tunnel, public_address(edge), 25) as session:
        session.send_message(letter("probe@verify.invalid", address, token), "", address)
    with imap(tunnel, inbox, trust(environment), address, account.password.get_secret_value()) as box:
        raw = until(lambda: _take(box, token), f"the message {token} in the INBOX of {address}", seconds=60)
    received = email.message_from_bytes(raw).get_all("Received", [])
    assert received, "no Received header at all"
    avoided(
        3,
        not TAILNET_ADDRESS.search(received[0]),
        f"the top Received header names the edge, not the client: {received[0]}",
    )


def _take(mailbox: imaplib.IMAP4, token: str) -> bytes | None:
    """The message whose subject has the token, deleted from the mailbox once it was read."""
    for folder in ("INBOX", '"Junk Mail"'):
        if mailbox.select(folder)[0] != "OK":
            continue
        numbers = mailbox.search(None, "SUBJECT", token)[1][0].split()
        if numbers:
            data = mailbox.fetch(numbers[0], "(RFC822)")[1]
            assert data is not None and isinstance(data[0], tuple)
            mailbox.store(numbers[0], "+FLAGS", r"(\Deleted)")
            mailbox.expunge()
            return bytes(data[0][1])
    return None


def test_a_submitted_message_leaves(
    environment: Environment, edge: Edge, account: Account, tunnel: Tunnel, mailbox: Host
) -> None:
    if environment.probe_recipient is None:
        pytest.skip("PROBE_RECIPIENT is not set: there is no outside address that may be written to")
    token = uuid.uuid4().hex
    address = f"{account.name}@{environment.domain}"
    entrance = door(environment, edge, mailbox, "submission", "submissions")
    with submission(tunnel, entrance, trust(environment)) as session:
        session.login(address, account.password.get_secret_value())
        session.mail(address)
        session.rcpt(environment.probe_recipient)
        code, reply = session.data(letter(address, environment.probe_recipient, token).as_bytes())
    assert code == 250, reply
    queue_id = int(re.findall(rb"id ([0-9a-f]+)", reply)[0], 16)
    try:
        until(lambda: "(delivery.completed)" in _logged(mailbox, queue_id), "its delivery", seconds=60)
    except AssertionError:
        avoided(11, False, _logged(mailbox, queue_id)[-1000:] or f"no word of message {queue_id} in the log")


def _logged(mailbox: Host, queue_id: int) -> str:
    """What Stalwart's log says about a message. Failed queries (MTA-STS, DANE) on the way are no failure of it."""
    log = mailbox.run("docker logs --since 5m stalwart 2>&1")
    return "\n".join(line for line in log.stdout.splitlines() if f"queueId = {queue_id}," in line)
