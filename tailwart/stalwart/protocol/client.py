"""Calls to the server over a transport, in as few requests as its limits allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tailwart.stalwart.protocol.failures import NotReachable, call_failed
from tailwart.stalwart.protocol.jmap import MAX_OBJECTS, Answer, Call, answers, body, in_requests
from tailwart.stalwart.protocol.kinds import READ
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.transport import ACCOUNT, Response, Transport

_PAGE = MAX_OBJECTS * 8
_TOO_LARGE = "requestTooLarge"


class Client:
    """One server, one login."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @staticmethod
    def bodies(calls: Sequence[Call]) -> list[str]:
        """The requests that these calls make."""
        return [body(group, ACCOUNT) for group in in_requests(calls)]

    def call(self, calls: Sequence[Call]) -> list[Answer]:
        """Every call's answer, in order; raises SettingsError when a call was refused as a whole, or not answered."""
        return _answers(calls, self._transport.exchange(self.bodies(calls)))

    def read(self, calls: Sequence[Call] = READ, responses: Sequence[Response] | None = None) -> Live:
        """The objects that these `get` calls name, also where one answer does not hold all objects of a kind.

        Their `query` calls find ids for the call behind them, or count (`selection.py`).

        `responses` answer the requests of `bodies(calls)`, where another command has carried those already.
        """
        if responses is None:
            responses = self._transport.exchange(self.bodies(calls))
        objects: dict[str, dict[str, dict[str, Any]]] = {}
        totals: dict[str, int] = {}
        for answer in _answers(calls, responses, tolerated=_TOO_LARGE):
            kind = answer.call.kind
            if answer.call.method == "query":
                totals |= {kind: int(answer.arguments["total"])} if "total" in answer.arguments else {}
                continue
            cut = answer.error is not None or len(answer.objects) >= MAX_OBJECTS
            found = self._all(kind, answer.objects) if cut else answer.objects
            objects.setdefault(kind, {}).update((str(item["id"]), item) for item in found)
        return Live({kind: tuple(found.values()) for kind, found in objects.items()}, totals=totals)

    def readable(self, kinds: Sequence[str]) -> tuple[str, ...]:
        """Those of these kinds that the server shows to this login: others need a licence, or a store that is off."""
        calls = [Call(kind, "get", {"ids": []}) for kind in kinds]
        found = _answers(calls, self._transport.exchange(self.bodies(calls)), tolerated=None)
        return tuple(answer.call.kind for answer in found if answer.error is None)

    def _all(self, kind: str, first: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Every object of a kind: a `get` without ids returns no more than the limit, or is refused."""
        known = {str(item["id"]): item for item in first}
        (page,) = self.call([Call(kind, "query", {"limit": _PAGE})])
        # A page without anything new ends the loop: also on a server that does not follow the anchor.
        paged: set[str] = set()
        while (ids := [str(item) for item in page.arguments.get("ids") or ()]) and not paged.issuperset(ids):
            paged |= set(ids)
            missing = [identifier for identifier in ids if identifier not in known]
            gets = [
                Call(kind, "get", {"ids": missing[start : start + MAX_OBJECTS]})
                for start in range(0, len(missing), MAX_OBJECTS)
            ]
            # The next page travels with the objects of this one; a server that caps pages below our limit has more.
            after = Call(kind, "query", {"limit": _PAGE, "anchor": ids[-1], "anchorOffset": 1})
            *found, page = self.call([*gets, after])
            known |= {str(item["id"]): item for answer in found for item in answer.objects}
        return list(known.values())


def _answers(calls: Sequence[Call], responses: Sequence[Response], tolerated: str | None = "") -> list[Answer]:
    """The answers in these responses; raises SettingsError for a refused call, except with the error `tolerated`.

    With None every error is tolerated.
    """
    found: list[Answer] = []
    for group, response in zip(in_requests(calls), responses, strict=True):
        try:
            found += answers(group, response.document())
        except ValueError as problem:
            raise NotReachable("Stalwart's answer is incomplete", seen=str(problem), remedy="run this again") from None
    for answer in found:
        if answer.error is not None and tolerated is not None and answer.error.get("type") != tolerated:
            raise call_failed(answer.call.name, answer.error)
    return found
