"""Mailboxes and messages of one account on the live server and on the drill's, over IMAP inside both containers.

UIDs of a mailbox only grow (RFC 9051 §2.3.1.1), so a message of the live server whose UID is below the drill's highest
was there at the time of the backup: it has to be in the set. What the drill has and the live server has not was removed
since.
"""

from __future__ import annotations

import random
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.runner import Runner
from tailwart.stalwart.protocol.container import quoted

_SAMPLE = 20
_MARK = "-- answered "
# A line of the input after the first: path of the URL, a bar, the command. Not a tab: `read` drops one at the beginning
# of a line, and the first path is empty. For a path with a UID the message is hashed, and the command is the EXAMINE of
# its mailbox: curl has selected it, and its FETCH would set the flag Seen on the live server; in a mailbox that is open
# for reading alone it cannot (RFC 9051 §6.3.3). The second URL goes over the first one's connection.
_INSIDE = rf"""
IFS= read -r login
options="silent
show-error
insecure
max-time = 60
user = \"$login\""
while IFS='|' read -r path request; do
  case $path in
    *';UID='*)
      curl --config /dev/fd/3 >/tmp/message 3<<END
$options
url = "imaps://127.0.0.1/${{path%/;UID=*}}"
request = "$request"
output = "/dev/null"
next
$options
url = "imaps://127.0.0.1/$path"
END
      code=$?
      sha256sum </tmp/message; rm -f /tmp/message ;;
    *)
      curl --config /dev/fd/3 3<<END
$options
url = "imaps://127.0.0.1/$path"
request = "$request"
END
      code=$? ;;
  esac
  printf '\n{_MARK}%s\n' $code
done
"""


@dataclass(frozen=True, slots=True)
class Login:
    """An account whose messages are compared."""

    address: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Compared:
    """One account: counts of the drill; messages that came or went on the live server since; compared by their hash.

    `problem` is empty when every message of before the backup is there, unchanged.
    """

    address: str
    mailboxes: int = 0
    messages: int = 0
    newer: int = 0
    gone: int = 0
    hashed: int = 0
    problem: str = ""


def compare(run: Runner, login: Login, container: str) -> Compared:
    """Compare an account in the drill's container with the live server's."""
    try:
        there = mailboxes(run, container, login)
        live = mailboxes(run, names.CONTAINER, login)
    except TailwartError as problem:
        return Compared(login.address, problem=f"{problem.what}: {problem.seen}")
    wrong = missing(live, there)
    common = [(name, uid) for name, uids in there.items() for uid in uids if uid in live.get(name, frozenset())]
    sample = random.sample(common, min(_SAMPLE, len(common)))
    requests = [(f"{quote(name)}/;UID={uid}", f"EXAMINE {_escaped(name)}") for name, uid in sample]
    if requests and not wrong:
        hashes = zip(_imap(run, container, login, requests), _imap(run, names.CONTAINER, login, requests), strict=True)
        wrong = [
            f"message {uid} of {name} differs"
            for (name, uid), (one, other) in zip(sample, hashes, strict=True)
            if one.strip() != other.strip()
        ]
    return Compared(
        login.address,
        mailboxes=len(there),
        messages=sum(map(len, there.values())),
        newer=sum(len(uids - there.get(name, frozenset())) for name, uids in live.items()),
        gone=sum(len(uids - live.get(name, frozenset())) for name, uids in there.items()),
        hashed=len(sample),
        problem="; ".join(wrong[:3]),
    )


def missing(live: Mapping[str, frozenset[int]], there: Mapping[str, frozenset[int]]) -> list[str]:
    """What of the live server should be in the set and is not.

    >>> missing({"INBOX": frozenset({1, 2, 3, 4})}, {"INBOX": frozenset({1, 3})})
    ['INBOX lacks 1 of 2 messages']
    """
    found = []
    for name, uids in live.items():
        kept = there.get(name, frozenset())
        old = {uid for uid in uids if uid <= max(kept, default=0)}
        if lost := old - kept:
            found.append(f"{name} lacks {len(lost)} of {len(kept)} messages")
    return found


def mailboxes(run: Runner, container: str, login: Login) -> dict[str, frozenset[int]]:
    """The UIDs of every mailbox; raises `TailwartError` when the account cannot be read."""
    (listed,) = _imap(run, container, login, [("", 'LIST "" "*"')])
    found = parse_list(listed)
    answers = _imap(run, container, login, [(quote(name), "UID SEARCH ALL") for name in found])
    return {
        name: frozenset(int(uid) for uid in re.findall(r"\d+", "".join(re.findall(r"(?m)^\* SEARCH(.*)$", answer))))
        for name, answer in zip(found, answers, strict=True)
    }


def parse_list(answer: str) -> list[str]:
    r"""Names of the mailboxes that can be selected, of an answer to LIST (RFC 9051 §7.3.1).

    >>> parse_list('* LIST (\\HasNoChildren) "/" "Sent Items"\r\n* LIST (\\Noselect) "/" Shared')
    ['Sent Items']
    """
    lines = re.findall(r'(?m)^\* LIST \(([^)]*)\) (?:"[^"]*"|NIL) (.*?)\r?$', answer)
    names_ = [
        name for flags, name in lines if "\\noselect" not in flags.lower() and "\\nonexistent" not in flags.lower()
    ]
    return [re.sub(r"\\(.)", r"\1", name[1:-1]) if name.startswith('"') else name for name in names_]


def _escaped(text: str) -> str:
    """A quoted string of IMAP (RFC 9051 §4.3)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _imap(run: Runner, container: str, login: Login, requests: Sequence[tuple[str, str]]) -> list[str]:
    lines = [
        quoted(login.address, login.password),
        *(f"{path}|{_escaped(command)[1:-1]}" for path, command in requests),
    ]
    command = f"docker exec -i {container} sh -c {shlex.quote(_INSIDE)}"
    done = run(command, stdin="\n".join(lines) + "\n", timeout=60 + 10 * len(requests))
    answers, current = [], ""
    for line in done.stdout.splitlines(keepends=True):
        if not line.startswith(_MARK):
            current += line
            continue
        if line.removeprefix(_MARK).strip() != "0":
            raise _unreadable(login, container, done.stderr)
        answers.append(current)
        current = ""
    if len(answers) != len(requests):
        raise _unreadable(login, container, done.stderr)
    return answers


def _unreadable(login: Login, container: str, said: str) -> TailwartError:
    return TailwartError(
        f"the mail of {login.address} cannot be read in {container}",
        seen=said.strip()[-200:] or "no answer",
        expected="a login over IMAP with TLS, inside the container",
        remedy="check the account's password in .env, and that MAIL_SERVICES names imaps",
    )
