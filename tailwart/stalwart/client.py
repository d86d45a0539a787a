"""Calls to the server over a transport, in as few requests as its limits allow."""

from __future__ import annotations

from collections.abc import Sequence

from tailwart.stalwart.failures import NotReachable, call_failed
from tailwart.stalwart.jmap import MAX_OBJECTS, Answer, Call, answers, body, in_requests
from tailwart.stalwart.live import PAGED, READ, Live
from tailwart.stalwart.transport import ACCOUNT, Transport


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

    def call(self, calls: Sequence[Call]) -> list[Answer]:
        """Every call's answer, in order; raises SettingsError when a call as a whole was refused or unanswered."""
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
            if answer.error is not None:
                raise call_failed(answer.call.name, answer.error)
        return found

    def read(self) -> Live:
        """Everything under management, as it is on the server."""
        return self.complete({answer.call.kind: answer.objects for answer in self.call(READ)})

    def complete(self, objects: dict[str, list[dict[str, object]]]) -> Live:
        """Fetch what the server cut off: `get` without ids stops silently at its limit of objects."""
        for kind in PAGED:
            if len(objects.get(kind, ())) >= MAX_OBJECTS:
                objects[kind] = self._all(kind, objects[kind])
        return Live({kind: tuple(found) for kind, found in objects.items()})

    def _all(self, kind: str, first: list[dict[str, object]]) -> list[dict[str, object]]:
        known = {str(item["id"]): item for item in first}
        anchor: str | None = None
        while True:
            arguments: dict[str, object] = {"limit": MAX_OBJECTS * 8}
            if anchor is not None:
                arguments |= {"anchor": anchor, "anchorOffset": 1}
            (page,) = self.call([Call(kind, "query", arguments)])
            ids = [str(identifier) for identifier in page.arguments.get("ids") or ()]
            missing = [identifier for identifier in ids if identifier not in known]
            gets = [
                Call(kind, "get", {"ids": missing[start : start + MAX_OBJECTS]})
                for start in range(0, len(missing), MAX_OBJECTS)
            ]
            if gets:
                known |= {str(item["id"]): item for answer in self.call(gets) for item in answer.objects}
            # Servers that cap the page below the limit need another look; an empty page ends it everywhere.
            if len(ids) < MAX_OBJECTS or ids[-1] == anchor:
                return list(known.values())
            anchor = ids[-1]
