"""One message's way through the server, from the lines of its log. Pure.

`queueId` ties a message's lines together, from `queue.message-queued` to `delivery.completed`. The lines of the session
that brought it have no such number: `remoteIp` and `remotePort` tie them to it. A sender's Message-ID stands in the
line of a local delivery alone; of an outgoing message only the number of the sender's 250 is known, in hexadecimal.
The server logs no subject and no content.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tailwart.errors import TailwartError
from tailwart.mailbox import names

_LINE = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\dT\S+) (?P<level>[A-Z]+) (?P<title>.*?) \((?P<event>[a-z0-9.-]+)\) ?(?P<rest>.*)"
)
_FIELD = re.compile(r'(\w+) = ("(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^,]*)(?:, |$)')
_TERM = re.compile(r"[^\s\x00-\x1f\x7f]{3,320}")
_SINCE = re.compile(r"\d{1,4}[smhd]")
# What a person asks after; reads of TLS policies and the like are on the way and say nothing when they fail.
_STEPS = re.compile(
    r"queue\.(\S*-queued|rescheduled|\S*-exceeded)"
    r"|delivery\.(attempt-start|connect|delivered|completed|dsn-success|null-mx|double-bounce"
    r"|\S*-exceeded|\S*error|\S*fail\S*|\S*reject\S*)"
    r"|message-ingest\..*|smtp\..*|sieve\..*"
)
_MOST = 20
# What ties lines together. The server writes these before any text of a stranger's, and leaves quotation marks in such
# texts as they are (source of 0.16.18): whatever a remote server answers must not name another message.
_OWN = frozenset({"queueId", "remoteIp", "remotePort"})


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the log. ``fields`` are texts; of two fields of one name the later counts, but for `_OWN`."""

    at: str
    title: str
    event: str
    fields: dict[str, str]

    def document(self) -> dict[str, Any]:
        """The step as plain values, for `--json`."""
        return {"at": self.at, "event": self.event, "title": self.title, **self.fields}


@dataclass(frozen=True, slots=True)
class Trace:
    """One message: its number in the log and in the sender's 250, and its steps in order."""

    queue_id: int
    steps: tuple[Step, ...]

    @property
    def number(self) -> str:
        """As the 250 has it."""
        return f"{self.queue_id:x}"

    @property
    def outcome(self) -> str:
        """In one word where it ended, or that it waits."""
        events = [step.event for step in self.steps]
        if "delivery.dsn-perm-fail" in events:
            return "bounced"
        if "delivery.completed" in events:
            return "delivered"
        return "waits" if events else "unknown"

    def document(self) -> dict[str, Any]:
        """The trace as plain values, for `--json`."""
        steps = [step.document() for step in self.steps]
        return {"queue_id": str(self.queue_id), "number": self.number, "outcome": self.outcome, "steps": steps}


def parse_line(line: str) -> Step | None:
    """A line of the log; None for one of another form.

    >>> parse_line('2026-11-21T00:49:59Z INFO Delivery completed (delivery.completed) queueId = 7, size = 9').fields
    {'queueId': '7', 'size': '9'}
    """
    match = _LINE.fullmatch(line.strip())
    if match is None:
        return None
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(match["rest"]):
        if name not in _OWN or name not in fields:
            fields[name] = value.strip().strip('"')
    return Step(match["at"], match["title"], match["event"], fields)


def check_term(term: str) -> str:
    """The term as it is searched: without the brackets of a Message-ID, a 250's number in decimal.

    Raises `TailwartError` for one that could match nothing or everything.
    """
    text = term.strip().removeprefix("<").removesuffix(">")
    if not _TERM.fullmatch(text):
        raise TailwartError(
            f"{term!r} cannot be looked for",
            expected="a Message-ID, a mail address, or the number of the sender's 250",
            remedy="tailwart trace alice@example.org",
        )
    if re.fullmatch(r"[0-9a-f]{12,16}", text) and not text.isdecimal():
        return str(int(text, 16))
    return text


def check_since(text: str) -> str:
    """How far back, as the engine takes it. Raises `TailwartError` for another form."""
    if not _SINCE.fullmatch(text):
        raise TailwartError(
            f"{text!r} is no time to look back", expected="a number and s, m, h or d, like 12h", remedy="--since 12h"
        )
    return text if not text.endswith("d") else f"{int(text[:-1]) * 24}h"


def finding(since: str) -> str:
    """A shell command that prints the lines with a term, which it reads from standard input."""
    return (
        f"IFS= read -r term; docker logs --since {since} {names.CONTAINER} 2>&1 | "
        'grep -F -e "$term" | grep -F queueId | tail -n 2000'
    )


def following(since: str) -> str:
    """A shell command that prints the lines with any of the texts that it reads from standard input."""
    return f'texts=$(cat); docker logs --since {since} {names.CONTAINER} 2>&1 | grep -F -e "$texts" | tail -n 20000'


def queue_ids(lines: Iterable[str], term: str) -> list[int]:
    """The messages that these lines are about, the newest first, at most twenty.

    A term may stand in lines of others' messages as a part of a longer address: only whole values count.
    """
    found: dict[int, None] = {}
    for step in _steps(lines):
        identifier = step.fields.get("queueId", "")
        if identifier.isdecimal() and _names(step, term):
            found.pop(int(identifier), None)
            found[int(identifier)] = None
    return list(reversed(found))[:_MOST]


def _names(step: Step, term: str) -> bool:
    wanted = term.lower()
    values = {value.lower() for value in step.fields.values()}
    inside = {each.strip(' "').lower() for value in step.fields.values() for each in value.strip("[]").split(",")}
    return wanted in values | inside


def wanted(identifiers: Sequence[int], lines: Iterable[str]) -> list[str]:
    """What `following` looks for: each message's number, and the address and port of the session that brought it."""
    ports = [
        f"remoteIp = {step.fields['remoteIp']}, remotePort = {step.fields['remotePort']}"
        for step in _steps(lines)
        if step.event.endswith("message-queued") and {"remoteIp", "remotePort"} <= set(step.fields)
        if step.fields.get("queueId", "").isdecimal() and int(step.fields["queueId"]) in identifiers
    ]
    return [*(f"queueId = {identifier}," for identifier in identifiers), *dict.fromkeys(ports)]


def traces(identifiers: Sequence[int], lines: Iterable[str]) -> list[Trace]:
    """Each message with its steps, in the order of the log."""
    steps = [step for step in _steps(lines) if _STEPS.fullmatch(step.event)]
    return [Trace(identifier, tuple(_of(identifier, steps))) for identifier in identifiers]


def _of(identifier: int, steps: Sequence[Step]) -> Iterator[Step]:
    own = [step for step in steps if step.fields.get("queueId") == str(identifier)]
    begun = next((step for step in own if step.event.endswith("message-queued")), None)
    if begun is not None and "remotePort" in begun.fields:
        peer = (begun.fields.get("remoteIp"), begun.fields["remotePort"])
        # Up to the line that ends with the number: what the session did before belongs to it, too.
        yield from (
            step
            for step in steps
            if "queueId" not in step.fields
            and (step.fields.get("remoteIp"), step.fields.get("remotePort")) == peer
            and step.at <= begun.at
        )
    yield from own


def _steps(lines: Iterable[str]) -> Iterator[Step]:
    return (step for line in lines if (step := parse_line(line)) is not None)
