"""What has to follow a write before the running server acts on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Protocol

from tailwart.stalwart.protocol.values import Ref


class PostApply(StrEnum):
    """In ascending order of weight."""

    NOTHING = ""
    RELOAD = "reload"
    RESTART = "restart"


# Sockets, PROXY trust and the route table are made once, at the start of the process (lesson 12): a reload of the
# settings does not rebind, and does not rebuild the routes.
_RESTART = frozenset({"NetworkListener", "MtaRoute", "MtaOutboundStrategy"})
# The directory is looked up at each use: a new password works at once, without a reload.
_NOTHING = frozenset({"Account", "Domain", "MailingList", "DkimSignature"})


class _Written(Protocol):
    @property
    def ref(self) -> Ref: ...

    @property
    def values(self) -> Mapping[str, Any]: ...


def of_operations(operations: Iterable[_Written]) -> PostApply:
    """The heaviest consequence of these writes."""
    found = {_of(operation) for operation in operations}
    for consequence in (PostApply.RESTART, PostApply.RELOAD):
        if consequence in found:
            return consequence
    return PostApply.NOTHING


def _of(operation: _Written) -> PostApply:
    kind = operation.ref.kind
    trust = kind == "SystemSettings" and "proxyTrustedNetworks" in operation.values
    if kind in _RESTART or trust:
        return PostApply.RESTART
    return PostApply.NOTHING if kind in _NOTHING else PostApply.RELOAD
