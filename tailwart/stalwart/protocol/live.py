"""The server's objects as they are, with the names by which the desired state knows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from tailwart.network import BY_PORT
from tailwart.stalwart.protocol.jmap import SINGLETON, Call
from tailwart.stalwart.protocol.values import TYPE, Ref, canonical, members_of

MARK = "tailwart"
"""Marks managed objects where the server offers a free text, so that they can be told from unmanaged ones."""

SINGLETONS = (
    "SystemSettings",
    "BlobStore",
    "InMemoryStore",
    "MtaOutboundStrategy",
    "Metrics",
    "SpamPyzor",
)
COLLECTIONS = (
    "Domain",
    "Account",
    "MailingList",
    "DkimSignature",
    "NetworkListener",
    "MtaRoute",
    "AllowedIp",
    "AcmeProvider",
    "DnsServer",
    "Tracer",
)
READ = tuple(Call(kind, "get", {"ids": None}) for kind in COLLECTIONS) + tuple(
    Call(kind, "get", {"ids": [SINGLETON]}) for kind in SINGLETONS
)

Object = Mapping[str, Any]


class Live:
    """One reading of the server."""

    def __init__(self, objects: Mapping[str, tuple[Object, ...]]) -> None:
        self.objects = objects

    def of(self, kind: str) -> tuple[Object, ...]:
        return self.objects.get(kind, ())

    @cached_property
    def names(self) -> dict[tuple[str, str], str]:
        """(kind, id) → the name under which people know the object."""
        return {
            (kind, str(item["id"])): self.key(kind, item)
            for kind, found in self.objects.items()
            for item in found
            if kind in COLLECTIONS or kind in SINGLETONS
        }

    @cached_property
    def _first(self) -> dict[Ref, Object]:
        found: dict[Ref, Object] = {}
        for kind, items in self.objects.items():
            if kind not in COLLECTIONS and kind not in SINGLETONS:
                continue
            for item in sorted(items, key=_ours_first):
                found.setdefault(Ref(kind, self.key(kind, item)), item)
        return found

    def get(self, ref: Ref) -> Object | None:
        """The object of that name; of several, the one that bears our own name."""
        return self._first.get(ref)

    def resolve(self, ref: Ref) -> str | None:
        """The id of an object, None when it does not exist."""
        found = self.get(ref)
        return str(found["id"]) if found else None

    @cached_property
    def _domains(self) -> dict[str, str]:
        return {str(item["id"]): str(item.get("name", "?")) for item in self.of("Domain")}

    def key(self, kind: str, item: Object) -> str:
        """An object's natural key: what stays the same when it is created again."""
        if kind in SINGLETONS:
            return SINGLETON
        if kind in ("Account", "MailingList"):
            return str(item.get("emailAddress") or f"{item.get('name')}@{self._domain(item)}").lower()
        if kind == "DkimSignature":
            return f"{item.get('selector')}._domainkey.{self._domain(item)}"
        return _KEYS[kind](item)

    def _domain(self, item: Object) -> str:
        return self._domains.get(str(item.get("domainId")), "?")


def _ours_first(item: Object) -> int:
    """Of two listeners on one port, the one with the name this project gives is kept."""
    return 0 if item.get("name") in _LISTENER_NAMES else 1


_LISTENER_NAMES = frozenset(service.name for service in BY_PORT.values())


def ports(item: Object) -> tuple[str, ...]:
    """The ports a listener binds, as text."""
    return tuple(sorted({address.rpartition(":")[2] for address in members_of(item.get("bind"))}))


def _listener(item: Object) -> str:
    return ",".join(ports(item)) or str(item.get("name"))


def _dns_server(item: Object) -> str:
    description = str(item.get("description"))
    return description.removeprefix(f"{MARK}: ") if description.startswith(MARK) else f"«{description}»"


_KEYS: Mapping[str, Callable[[Object], str]] = {
    "Domain": lambda item: str(item.get("name")),
    "NetworkListener": _listener,
    "MtaRoute": lambda item: str(item.get("name")),
    "AllowedIp": lambda item: str(canonical(f"{item.get('address')}")),
    "AcmeProvider": lambda item: str(item.get("directory")),
    "DnsServer": _dns_server,
    "Tracer": lambda item: str(item.get(TYPE)),
}
