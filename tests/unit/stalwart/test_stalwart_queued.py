"""The queue as the server shows it, and what is done to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tailwart.errors import TailwartError
from tailwart.stalwart.accounts import queued
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.failures import SettingsError
from tailwart.stalwart.protocol.jmap import Answer, Call

# As a real 0.16.18 answered with its smarthost down.
MESSAGE = {
    "id": "abc",
    "createdAt": "2026-11-21T10:00:00Z",
    "returnPath": "alice@example.org",
    "size": 662,
    "recipients": {
        "carol@outside.example": {
            "retryCount": 1,
            "retryDue": "2026-11-21T10:02:00Z",
            "queueName": "remote",
            "status": {
                "@type": "TemporaryFailure",
                "errorType": "connectionError",
                "errorMessage": "I/O error: Connection refused (os error 111)",
                "responseHostname": "10.99.0.2",
                "responseCode": None,
                "responseMessage": None,
            },
        },
        "dave@outside.example": {"retryCount": 0, "status": {"@type": "Scheduled"}},
    },
}


class Scripted(Client):
    """A client whose server answers with what the test says."""

    def __init__(self, refused: dict[str, Any] | None = None) -> None:
        self.calls: list[Call] = []
        self.refused = refused or {}

    def call(self, calls: Sequence[Call]) -> list[Answer]:
        self.calls += calls
        return [Answer(call, {"total": 1, "list": [MESSAGE], **self.refused}) for call in calls]


def test_a_message_shows_who_waits_for_what() -> None:
    length, (message,) = queued.find(Scripted())
    assert length == 1
    assert message.waits(datetime(2026, 11, 21, 11, 0, tzinfo=UTC)) == 3600
    assert [item.address for item in message.failing] == ["carol@outside.example"]
    assert message.failing[0].answer == "10.99.0.2: I/O error: Connection refused (os error 111)"
    assert message.document()["recipients"][1] == {
        "address": "dave@outside.example", "status": "Scheduled", "tries": 0, "due": None, "answer": None,
    }  # fmt: skip


@pytest.mark.parametrize("broken", [{}, {"id": 1, "recipients": None, "size": None}, {"createdAt": "yesterday"}])
def test_an_answer_with_gaps_is_still_a_list(broken: dict[str, Any]) -> None:
    (message,) = queued.parse([broken])
    assert message.waits(datetime.now(UTC)) == 0
    assert message.recipients == ()


def test_a_retry_is_due_now_and_a_cancel_destroys() -> None:
    client = Scripted()
    messages = queued.parse([MESSAGE])
    assert queued.retry(client, messages, datetime(2026, 11, 21, 10, 1, tzinfo=UTC)) == 1
    assert queued.cancel(client, messages) == 1
    assert [call.arguments for call in client.calls] == [
        {"update": {"abc": {"nextRetry": "2026-11-21T10:01:00Z"}}},
        {"destroy": ["abc"]},
    ]


def test_a_message_that_is_gone_meanwhile_is_no_failure_and_a_refusal_is() -> None:
    messages = queued.parse([MESSAGE])
    assert queued.cancel(Scripted({"notDestroyed": {"abc": {"type": "notFound"}}}), messages) == 0
    with pytest.raises(SettingsError, match="forbidden"):
        queued.cancel(Scripted({"notDestroyed": {"abc": {"type": "forbidden"}}}), messages)


def test_an_unknown_id_is_refused_before_anything_is_done() -> None:
    messages = queued.parse([MESSAGE])
    assert queued.chosen(messages, ["abc", "abc"]) == messages
    with pytest.raises(TailwartError, match="xyz is not in the queue"):
        queued.chosen(messages, ["abc", "xyz"])
