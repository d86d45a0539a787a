"""The outside world as it meets the installation: a mail client on `world`, driven by Python's own mail libraries."""

from __future__ import annotations

import email
import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from typing import Any

from lab import hosts, issuer, topology
from lab.mail import MAIL_HOST
from tests.lab.mailbox import shell
from tests.waiting import until

WORLD_ADDRESS = "198.51.100.23"
OUTSIDE_USER = "friend@outside.test"

# Runs on world; parameters come as JSON on standard input after the program, so nothing stands in arguments.
_CLIENT = """
import imaplib, json, smtplib, ssl, sys, time
p = json.loads(PARAMETERS)
# Whatever address the edge was reached by, it has to prove the server's name.
tls = ssl.create_default_context(cafile=p["roots"] if p["do"] != "connect" else None)
class Smtps(smtplib.SMTP_SSL):
    def _get_socket(self, host, port, timeout):
        return tls.wrap_socket(smtplib.SMTP._get_socket(self, host, port, timeout), server_hostname=p["name"])
class Imaps(imaplib.IMAP4_SSL):
    def _create_socket(self, timeout):
        return tls.wrap_socket(imaplib.IMAP4._create_socket(self, timeout), server_hostname=p["name"])
if p["do"] == "send":
    factory = (lambda: Smtps(p["host"], p["port"], "world.lab.test", timeout=60, context=tls)) \\
        if p["port"] == 465 else (lambda: smtplib.SMTP(p["host"], p["port"], "world.lab.test", timeout=60))
    for attempt in range(30):
        try:
            with factory() as s:
                s._host = p["name"]
                if p.get("starttls"): s.starttls(context=tls)
                if p.get("password"): s.login(p["user"], p["password"])
                refused = s.sendmail(p["sender"], [p["recipient"]], p["message"])
            break
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException) as e:
            # Five messages a second of one address, which a stream beside this one may use up: a client tries again.
            if "4.4.5 Rate limit" not in str(e) or attempt == 29: raise
            time.sleep(1)
    print(json.dumps({"refused": {k: [v[0], v[1].decode()] for k, v in refused.items()}}))
elif p["do"] == "fetch":
    m = Imaps(p["host"], 993, ssl_context=tls, timeout=60)
    m.login(p["user"], p["password"])
    found = []
    for folder in ("INBOX", '"Junk Mail"'):
        if m.select(folder)[0] != "OK": continue
        for n in m.search(None, "SUBJECT", p["token"])[1][0].split():
            found.append(m.fetch(n, "(RFC822)")[1][0][1].decode("utf-8", "replace"))
    m.logout()
    print(json.dumps({"messages": found}))
elif p["do"] == "append":
    m = Imaps(p["host"], 993, ssl_context=tls, timeout=120)
    m.login(p["user"], p["password"])
    for number in range(p["count"]):
        token = "%s-%d" % (p["token"], number)
        text = p["message"].replace("TOKEN", token).replace("BODY", token * (number % 90))
        assert m.append("INBOX", None, None, text.encode())[0] == "OK"
    m.logout()
    print(json.dumps(p["count"]))
elif p["do"] == "digests":
    import hashlib, re
    m = Imaps(p["host"], 993, ssl_context=tls, timeout=120)
    m.login(p["user"], p["password"])
    found = {}
    for folder in ("INBOX", '"Junk Mail"'):
        if m.select(folder, readonly=True)[0] != "OK": continue
        for part in m.fetch("1:*", "(FLAGS BODY.PEEK[])")[1]:
            if isinstance(part, tuple):
                subject = re.search(rb"(?m)^Subject: lab (\\S+)", part[1])
                seen = " seen" * (b"Seen" in part[0])
                if subject: found[subject[1].decode()] = hashlib.sha256(part[1]).hexdigest() + seen
    m.logout()
    print(json.dumps(found))
elif p["do"] == "tls":
    import socket
    tls.maximum_version = getattr(ssl.TLSVersion, p["highest"])
    try:
        with socket.create_connection((p["host"], p["port"]), timeout=30) as c:
            print(json.dumps(tls.wrap_socket(c, server_hostname=p["name"]).version()))
    except OSError as e:
        print(json.dumps(""))
elif p["do"] == "connect":
    import socket
    from concurrent.futures import ThreadPoolExecutor
    def connect(port):
        try:
            with socket.create_connection((p["host"], port), timeout=p["timeout"]) as c:
                c.settimeout(p["timeout"])
                try: banner = c.recv(200).decode("ascii", "replace") if p["banner"] else ""
                except OSError as e: banner = ""
            return {"open": True, "banner": banner}
        except OSError as e:
            return {"open": False, "banner": "", "error": str(e)}
    # Side by side: each port that drops silently costs the whole time.
    with ThreadPoolExecutor(len(p["ports"])) as pool:
        print(json.dumps(list(pool.map(connect, p["ports"]))))
"""


@dataclass(frozen=True)
class Reached:
    """What came of a TCP connection."""

    open: bool
    banner: str = ""
    error: str = ""


def client(on: str = "world", /, **parameters: Any) -> Any:
    """Run the mail client on a host of the lab; raises `AssertionError` with its last line when it fails."""
    parameters |= {"name": MAIL_HOST, "roots": issuer.ON_WORLD}
    program = f"PARAMETERS = {json.dumps(parameters)!r}\n{_CLIENT}"
    result = hosts.exec(on, ["python3", "-"], stdin=program.encode(), check=False, timeout=300)
    assert result.returncode == 0, result.stderr.decode().strip().splitlines()[-1:]
    return json.loads(result.stdout)


def connects(host: str, address: str, port: int, *, banner: bool = False, timeout: float = 5) -> Reached:
    """Whether a host of the lab can open a TCP connection, and what the server says first."""
    return reached(host, address, [port], banner=banner, timeout=timeout)[port]


def reached(
    host: str, address: str, ports: Sequence[int], *, banner: bool = False, timeout: float = 5
) -> dict[int, Reached]:
    """The same for several ports of one address, tried side by side."""
    answers = client(host, do="connect", host=address, ports=list(ports), banner=banner, timeout=timeout)
    found = (Reached(answer["open"], answer["banner"], answer.get("error", "")) for answer in answers)
    return dict(zip(ports, found, strict=True))


def letter(sender: str, recipient: str, token: str) -> str:
    """A small message that can be found by its subject."""
    return (
        f"From: {sender}\r\nTo: {recipient}\r\nSubject: lab {token}\r\nMessage-ID: <{token}@world.lab.test>\r\n"
        "Date: Sat, 21 Nov 2026 00:00:00 +0000\r\n\r\nhello\r\n"
    )


def tls_version(port: int, highest: str, edge: str = "198.51.100.11") -> str:
    """What a client whose highest version is "TLSv1_2" or "TLSv1_3" agrees on with a port; empty when refused."""
    return str(client(do="tls", host=edge, port=port, highest=highest))


def mail_in(recipient: str, edge: str = "198.51.100.11") -> str:
    """A message from the outside user to a local one through an edge's port 25; its token."""
    token = uuid.uuid4().hex
    answer = client(
        do="send",
        host=edge,
        port=25,
        sender=OUTSIDE_USER,
        recipient=recipient,
        message=letter(OUTSIDE_USER, recipient, token),
    )
    assert not answer["refused"], answer
    return token


def mail_out(user: str, password: str, port: int = 587, edge: str = "198.51.100.11") -> str:
    """A message submitted through an edge to the outside user; its token."""
    token = uuid.uuid4().hex
    client(
        do="send", host=edge, port=port, starttls=port == 587, user=user, password=password, sender=user,
        recipient=OUTSIDE_USER, message=letter(user, OUTSIDE_USER, token),
    )  # fmt: skip
    return token


def put(user: str, password: str, count: int, token: str, edge: str = "198.51.100.11") -> None:
    """Put messages of different sizes into a mailbox, over IMAP, which knows no rate limits: TOKEN-0, TOKEN-1, …"""
    message = letter(OUTSIDE_USER, user, "TOKEN") + "BODY\r\n"
    answer = client(do="append", host=edge, user=user, password=password, message=message, count=count, token=token)
    assert answer == count, answer


def digests(user: str, password: str, edge: str = "198.51.100.11") -> dict[str, str]:
    """Token → SHA-256 of every message in a mailbox, as IMAP hands it out, headers and all, and whether it was read."""
    found: dict[str, str] = client(do="digests", host=edge, user=user, password=password)
    return found


def read_back(user: str, password: str, token: str, edge: str = "198.51.100.11") -> Message:
    """The message with that token from the user's mailbox, over IMAP through an edge; waits for it."""

    def attempt() -> str | None:
        found = client(do="fetch", host=edge, user=user, password=password, token=token)["messages"]
        return found[0] if found else None

    return email.message_from_string(until(attempt, f"message {token} in the mailbox of {user}", 60))


def arrived_outside(token: str, seconds: float = 60) -> Message:
    """The message with that token from the outside user's mailbox on world; waits for it."""

    user = OUTSIDE_USER.split("@", maxsplit=1)[0]
    # Not in Maildir/tmp, from where a message is moved away as soon as it is whole.
    search = [
        "sh",
        "-c",
        f"grep -rl 'lab {token}' /home/{user}/Maildir/new /home/{user}/Maildir/cur 2>/dev/null | head -1",
    ]

    def attempt() -> str | None:
        found = hosts.exec("world", search, check=False).stdout.decode().strip()
        return hosts.exec("world", ["cat", found]).stdout.decode() if found else None

    return email.message_from_string(until(attempt, f"message {token} in the mailbox of {OUTSIDE_USER}", seconds))


@contextmanager
def addresses(*found: str) -> Iterator[None]:
    """World has these addresses for a while."""
    device = shell("world", f"ip -o route get {topology.edge(1).ipv4} | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p'").strip()
    for address in found:
        shell("world", f"ip address add {address}/32 dev {device}")
    try:
        yield
    finally:
        for address in found:
            shell("world", f"ip address del {address}/32 dev {device}", check=False)
