"""Messages that wait to be delivered: which, since when, and what each remote server said last.

One number has two forms: a 250 and the log of the sender carry it in hexadecimal (``queued with id 4be448ccbc00200``),
the log line ``queueId`` and the id of the object in decimal or in the server's own letters. Contents are never read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tailwart.errors import TailwartError
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.failures import SettingsError
from tailwart.stalwart.protocol.jmap import FOUND, MAX_OBJECTS, Call
from tailwart.stalwart.protocol.values import TYPE

KIND = "QueuedMessage"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient. ``status`` is the server's word, ``answer`` what the remote side said; empty before a try."""

    address: str
    status: str
    tries: int
    due: str
    answer: str

    @property
    def domain(self) -> str:
        """Where the message goes."""
        return self.address.rpartition("@")[2]

    def document(self) -> dict[str, Any]:
        """The recipient as plain values."""
        return {
            "address": self.address,
            "status": self.status,
            "tries": self.tries,
            "due": self.due or None,
            "answer": self.answer or None,
        }


@dataclass(frozen=True, slots=True)
class Queued:
    """One message of the queue; times are UTC in RFC 3339, ``size`` is in bytes."""

    identifier: str
    sender: str
    created: str
    size: int
    recipients: tuple[Recipient, ...]

    @property
    def failing(self) -> tuple[Recipient, ...]:
        """Recipients that were tried in vain."""
        return tuple(item for item in self.recipients if item.answer)

    def waits(self, now: datetime) -> float:
        """Seconds since it came in; 0 when the server gave no readable time."""
        try:
            return max(0.0, (now - datetime.fromisoformat(self.created)).total_seconds())
        except (ValueError, TypeError):
            return 0.0

    def document(self) -> dict[str, Any]:
        """The message as plain values, for `--json`."""
        return {
            "id": self.identifier,
            "from": self.sender,
            "created": self.created,
            "size": self.size,
            "recipients": [item.document() for item in self.recipients],
        }


def reading(limit: int = MAX_OBJECTS, text: str = "") -> tuple[Call, Call]:
    """The two calls that read the queue, the next due first: its length and at most ``limit`` messages."""
    arguments: dict[str, Any] = {
        "sort": [{"property": "due", "isAscending": True}],
        "limit": limit,
        "calculateTotal": True,
    }
    if text:
        arguments["filter"] = {"text": text}
    return Call(KIND, "query", arguments), Call(KIND, "get", {"ids": FOUND})


def parse(objects: Iterable[Mapping[str, Any]]) -> list[Queued]:
    """The messages in the order in which the server gave them."""
    return [
        Queued(
            str(item.get("id", "")),
            str(item.get("returnPath") or "<>"),
            str(item.get("createdAt") or ""),
            int(item.get("size") or 0),
            tuple(_recipient(str(address), each) for address, each in (item.get("recipients") or {}).items()),
        )
        for item in objects
    ]


def _recipient(address: str, item: Mapping[str, Any]) -> Recipient:
    status: Mapping[str, Any] = item.get("status") or {}
    said = [str(status[name]) for name in ("responseCode", "responseMessage", "errorMessage") if status.get(name)]
    host = str(status.get("responseHostname") or "")
    answer = " ".join(said)
    return Recipient(
        address,
        str(status.get(TYPE, "")),
        int(item.get("retryCount") or 0),
        str(item.get("retryDue") or ""),
        f"{host}: {answer}" if host and answer else answer,
    )


def find(client: Client, limit: int = MAX_OBJECTS, text: str = "") -> tuple[int, list[Queued]]:
    """The length of the queue, and its messages as `reading` says."""
    counted, found = client.call(reading(limit, text))
    return int(counted.arguments.get("total") or 0), parse(found.objects)


def chosen(found: Sequence[Queued], identifiers: Sequence[str]) -> list[Queued]:
    """The messages of these ids. Raises `TailwartError` naming those that are not in the queue."""
    by_id = {item.identifier: item for item in found}
    if unknown := [item for item in identifiers if item not in by_id]:
        raise TailwartError(
            f"{', '.join(unknown)} is not in the queue",
            seen=f"{len(found)} messages wait",
            expected="an id as the list shows it",
            remedy="tailwart queue list",
        )
    return [by_id[item] for item in dict.fromkeys(identifiers)]


def retry(client: Client, messages: Sequence[Queued], now: datetime | None = None) -> int:
    """Have these messages tried at once; returns how many. Raises SettingsError when the server refuses one."""
    due = f"{(now or datetime.now(UTC)).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return _each(client, messages, lambda ids: {"update": {each: {"nextRetry": due} for each in ids}}, "notUpdated")


def cancel(client: Client, messages: Sequence[Queued]) -> int:
    """Drop these messages without a word to their senders; returns how many. Raises SettingsError as `retry`."""
    return _each(client, messages, lambda ids: {"destroy": ids}, "notDestroyed")


def _each(client: Client, messages: Sequence[Queued], arguments: Any, refused: str) -> int:
    done = 0
    identifiers = [item.identifier for item in messages]
    for start in range(0, len(identifiers), MAX_OBJECTS):
        ids = identifiers[start : start + MAX_OBJECTS]
        (answer,) = client.call([Call(KIND, "set", arguments(ids))])
        errors = answer.arguments.get(refused) or {}
        # Delivered or bounced between the list and now: what was wanted is done.
        left = {key: error for key, error in errors.items() if error.get("type") != "notFound"}
        for key, error in left.items():
            raise SettingsError(
                f"Stalwart refuses to change message {key} of the queue",
                seen=f"{error.get('type')} {error.get('description') or ''}".strip(),
                remedy="tailwart queue list, then run this again",
            )
        done += len(ids) - len(errors)
    return done
