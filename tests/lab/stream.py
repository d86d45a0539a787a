"""A stream of mail from the outside, sent as a mail server sends: tried again until it is accepted."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lab import hosts, issuer
from lab.mail import MAIL_HOST
from tests.lab.outside import OUTSIDE_USER

# Runs on world. A sender keeps what was not accepted, and tries again.
_SEND = """
import json, os, smtplib, sys, time
p = json.loads(PARAMETERS)
deferred, connection, used, door = 0, None, 0, ""
taken, unsure = {}, []
begin = time.monotonic()
for n in range(p["count"]):
    if os.path.exists(p["stop"]): break
    # Spread over the time that the test takes, or as fast as it goes.
    time.sleep(max(0, begin + n * p["every"] - time.monotonic()))
    text = (f"From: friend@{p['domain']}\\r\\nTo: {p['recipient']}\\r\\nSubject: stream {p['token']}\\r\\n"
            f"Message-ID: <{n}.{p['token']}@world.lab.test>\\r\\n\\r\\n{n}\\r\\n")
    deadline = time.monotonic() + 400
    while True:
        said = True
        try:
            if connection is None:
                # By priority, and the next one where nobody answers.
                for door in p["doors"]:
                    try:
                        connection, used = smtplib.SMTP(door, 25, "world.lab.test", timeout=20), 0
                        break
                    except OSError:
                        if door == p["doors"][-1]: raise
            said = False
            # The server takes 25 messages an hour from one sender's domain to one recipient, and five a second.
            connection.sendmail(f"friend@sender-{n // 20}.{p['domain']}", [p["recipient"]], text)
            used += 1
            taken[door] = taken.get(door, 0) + 1
            if used == 5:
                connection.close(); connection = None
            break
        except (OSError, smtplib.SMTPException) as error:
            # Broken off before the last answer: it may have been taken, and is sent again all the same (RFC 5321, 6.1).
            if not said and not isinstance(error, (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused)):
                unsure.append(n)
            if connection is not None: connection.close()
            connection = None
            deferred += 1
            if time.monotonic() > deadline: raise
            if os.path.exists(p["stop"]): break
            time.sleep(0.5)
print(json.dumps({"deferred": deferred, "seconds": time.monotonic() - begin, "taken": taken, "unsure": unsure}))
"""
_COUNT = """
import imaplib, json, re, ssl
p = json.loads(PARAMETERS)
tls = ssl.create_default_context(cafile=p["roots"])
class Imaps(imaplib.IMAP4_SSL):
    def _create_socket(self, timeout):
        return tls.wrap_socket(imaplib.IMAP4._create_socket(self, timeout), server_hostname=p["name"])
m = Imaps(p["host"], 993, ssl_context=tls, timeout=120)
m.login(p["user"], p["password"])
found = []
for folder in ("INBOX", '"Junk Mail"'):
    if m.select(folder, readonly=True)[0] != "OK": continue
    numbers = m.search(None, "SUBJECT", p["token"])[1][0].split()
    if not numbers: continue
    answer = m.fetch(b",".join(numbers).decode(), "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")[1]
    found += [int(x) for part in answer if isinstance(part, tuple) for x in re.findall(rb"<(\\d+)\\.", part[1])]
m.logout()
print(json.dumps(found))
"""


@dataclass
class Stream:
    """Messages under way; `result` waits for the last one to be accepted."""

    token: str
    count: int
    sending: Future[Any]

    def result(self) -> dict[str, Any]:
        """How many attempts were deferred, how long it took, how many messages each door has taken, and which ones were
        broken off before the last answer.
        """
        found: dict[str, Any] = self.sending.result()
        return found

    def arrived(self, user: str, password: str, edge: str = "198.51.100.11") -> list[int]:
        """The numbers of the messages in the user's mailbox, each as often as it is there."""
        parameters = {"host": edge, "user": user, "password": password, "token": self.token}
        found: list[int] = _run(_COUNT, parameters, 180)
        return found


@contextmanager
def stream(recipient: str, count: int, every: float, doors: Sequence[str] = ("198.51.100.11",)) -> Iterator[Stream]:
    """Send ``count`` messages to a local user, one ``every`` so many seconds, while the body of the `with` runs.

    ``doors`` are the addresses of the edges, the preferred one first.
    """
    token = uuid.uuid4().hex
    stop = f"/run/stream-{token}"
    parameters = {
        "doors": list(doors), "domain": OUTSIDE_USER.partition("@")[2], "recipient": recipient, "count": count,
        "every": every, "token": token, "stop": stop,
    }  # fmt: skip
    with ThreadPoolExecutor(1) as pool:
        try:
            yield Stream(token, count, pool.submit(_run, _SEND, parameters, 1200))
        except BaseException:
            hosts.exec("world", ["touch", stop])
            raise


def _run(program: str, parameters: dict[str, Any], seconds: float) -> Any:
    text = json.dumps({**parameters, "name": MAIL_HOST, "roots": issuer.ON_WORLD})
    whole = f"PARAMETERS = {text!r}\n{program}"
    result = hosts.exec("world", ["python3", "-"], stdin=whole.encode(), check=False, timeout=seconds)
    assert result.returncode == 0, result.stderr.decode().strip().splitlines()[-1:]
    return json.loads(result.stdout)
