"""Which objects a reading asks for: of kinds that a server may hold thousands of, only what is declared.

Accounts and domains are found by their names, in the same request that reads them; the others are counted. So people
and domains that are nobody's business here cost nothing, however many there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from tailwart.stalwart.protocol.jmap import FOUND, MAX_OBJECTS, Call

SELECTIVE = ("Domain", "Account")
"""Kinds whose objects are found by `name`, as the server indexes it."""

_MOST_NAMES = 48
"""Above it a whole reading takes fewer requests than one question for each name."""


def names_of(addresses: Collection[str]) -> tuple[str, ...]:
    """The names of declared accounts (their local parts) or domains, each once."""
    return tuple(sorted({address.partition("@")[0] for address in addresses}))


def narrowed(calls: Sequence[Call], declared: Mapping[str, Collection[str]]) -> tuple[Call, ...]:
    """These calls, with those for all objects of a selective kind replaced; `declared` holds keys by kind.

    narrowed([Call("Account", "get", {"ids": None})], {"Account": ["alice@example.org"]})
    """
    names = {kind: names_of(declared.get(kind, ())) for kind in SELECTIVE}
    if sum(map(len, names.values())) > _MOST_NAMES:
        return tuple(calls)
    return tuple(part for call in calls for part in _narrowed(call, names))


def _narrowed(call: Call, names: Mapping[str, Sequence[str]]) -> Iterator[Call]:
    if call.kind not in names or call.method != "get" or call.arguments.get("ids") is not None:
        yield call
        return
    for name in names[call.kind]:
        yield Call(call.kind, "query", {"filter": {"name": name}, "limit": MAX_OBJECTS})
        yield Call(call.kind, "get", {"ids": FOUND})
    yield Call(call.kind, "query", {"limit": 1, "calculateTotal": True})
