"""JMAP requests (RFC 8620) to Stalwart's management objects, as plain data; no I/O here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

USING = (
    "urn:ietf:params:jmap:core",
    "urn:stalwart:jmap",
    # For people's own scripts: RFC 9404, RFC 9661.
    "urn:ietf:params:jmap:blob",
    "urn:ietf:params:jmap:sieve",
)
STANDARD = ""
"""The prefix of a method that is not Stalwart's own."""
# The limits of the session document of 0.16.7: RFC 8620 section 2.
MAX_CALLS = 16
MAX_OBJECTS = 500
SINGLETON = "singleton"


class _Found:
    """See `FOUND`."""

    def __repr__(self) -> str:
        return "FOUND"


FOUND: Final = _Found()
"""As `ids` of a call: those that the call before it found (a result reference, RFC 8620 section 3.7)."""


@dataclass(frozen=True, slots=True)
class Call:
    """One method call: `x:Domain/get` and its arguments."""

    kind: str
    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = "x:"

    @property
    def name(self) -> str:
        return f"{self.prefix}{self.kind}/{self.method}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one call: its arguments, or the error of the whole call."""

    call: Call
    arguments: Mapping[str, Any]
    error: Mapping[str, Any] | None = None

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The objects of a `get`."""
        return list(self.arguments.get("list") or [])


def body(calls: Sequence[Call], account_id: str) -> str:
    """The request; 0.16.10 and later demand the account id in every call, earlier ones accept it."""
    if len(calls) > MAX_CALLS:
        raise ValueError(f"{len(calls)} calls in one request, the server takes {MAX_CALLS}")
    return json.dumps(
        {
            "using": list(USING),
            "methodCalls": [
                [call.name, {"accountId": account_id, **_arguments(calls, index)}, str(index)]
                for index, call in enumerate(calls)
            ],
        }
    )


def _arguments(calls: Sequence[Call], index: int) -> Mapping[str, Any]:
    arguments = calls[index].arguments
    if arguments.get("ids") is not FOUND:
        return arguments
    before = {"resultOf": str(index - 1), "name": calls[index - 1].name, "path": "/ids"}
    return {"#ids": before, **{name: value for name, value in arguments.items() if name != "ids"}}


def answers(calls: Sequence[Call], document: Mapping[str, Any]) -> Iterator[Answer]:
    """Each call with its answer; raises ValueError when the document does not answer every call."""
    responses = document.get("methodResponses") or ()
    by_id = {str(response[2]): response for response in responses if isinstance(response, list) and len(response) == 3}
    for index, call in enumerate(calls):
        response = by_id.get(str(index))
        if response is None:
            raise ValueError(f"no answer to {call.name}")
        name, arguments, _ = response
        yield Answer(call, {}, arguments) if name == "error" else Answer(call, arguments)


def in_requests(calls: Sequence[Call]) -> Iterator[Sequence[Call]]:
    """Calls in groups that fit one request each; a call that needs the one before it is in the same request."""
    start = 0
    while start < len(calls):
        end = min(start + MAX_CALLS, len(calls))
        while end < len(calls) and calls[end].arguments.get("ids") is FOUND:
            end -= 1
        yield calls[start:end]
        start = end
