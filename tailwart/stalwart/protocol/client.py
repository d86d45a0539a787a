"""Calls to the server over a transport, in as few requests as its limits allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tailwart.stalwart.protocol.failures import NotReachable, call_failed
from tailwart.stalwart.protocol.jmap import MAX_OBJECTS, Answer, Call, answers, body, in_requests
from tailwart.stalwart.protocol.live import READ, Live
from tailwart.stalwart.protocol.transport import ACCOUNT, Transport

_PAGE = MAX_OBJECTS * 8
_TOO_LARGE = "requestTooLarge"


class Client:
    """One server, one login."""

    def __init__(self, transport: Transport, then: Transport | None = None) -> None:
        """`then` takes over after the first exchange, where that one was carried together with something else."""
        self._transport = transport
        self._then = then

    @staticmethod
    def bodies(calls: Sequence[Call]) -> list[str]:
        """The requests that these calls make."""
        return [body(group, ACCOUNT) for group in in_requests(calls)]

    def call(self, calls: Sequence[Call], tolerated: str = "") -> list[Answer]:
        """Every call's answer, in order.

        Raises SettingsError when a call as a whole was refused (except with the error type `tolerated`) or unanswered.
        """
        groups = list(in_requests(calls))
        responses = self._transport.exchange(self.bodies(calls))
        self._transport, self._then = self._then or self._transport, None
        found: list[Answer] = []
        for group, response in zip(groups, responses, strict=True):
            try:
                found += answers(group, response.document())
            except ValueError as problem:
                raise NotReachable(
                    "Stalwart's answer is incomplete", seen=str(problem), remedy="run this again"
                ) from None
        for answer in found:
            if answer.error is not None and answer.error.get("type") != tolerated:
                raise call_failed(answer.call.name, answer.error)
        return found

    def read(self, calls: Sequence[Call] = READ) -> Live:
        """Everything under management, as it is on the server; also where one answer does not hold it all."""
        objects: dict[str, list[dict[str, Any]]] = {}
        for answer in self.call(calls, tolerated=_TOO_LARGE):
            cut = answer.error is not None or len(answer.objects) >= MAX_OBJECTS
            objects[answer.call.kind] = self._all(answer.call.kind, answer.objects) if cut else answer.objects
        return Live({kind: tuple(found) for kind, found in objects.items()})

    def _all(self, kind: str, first: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Every object of a kind: a `get` without ids gives no more than the limit, or refuses to."""
        known = {str(item["id"]): item for item in first}
        (page,) = self.call([Call(kind, "query", {"limit": _PAGE})])
        # A page without anything new ends it: also on a server that does not follow the anchor.
        seen: set[str] = set()
        while (ids := [str(identifier) for identifier in page.arguments.get("ids") or ()]) and not seen.issuperset(ids):
            seen |= set(ids)
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
