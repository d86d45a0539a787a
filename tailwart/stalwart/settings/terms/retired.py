"""Objects of the operator's terms that are not declared any more: which ones are ours, by the mark on each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tailwart.stalwart.protocol.kinds import MARK, WEBHOOK_HEADER, Object
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.settings.terms.spam import TAG

_NOT_DECLARED = "not in group_data/mailbox.py any more"


def _described(item: Object, _: Live) -> str:
    return _NOT_DECLARED if str(item.get("description")).startswith(f"{MARK}: ") else ""


def _tagged(item: Object, _: Live) -> str:
    return _NOT_DECLARED if str(item.get("tag")).startswith(TAG) else ""


def _webhook(item: Object, _: Live) -> str:
    headers: Mapping[str, Any] = item.get("httpHeaders") or {}
    return _NOT_DECLARED if WEBHOOK_HEADER in headers else ""


RETIRED: Mapping[str, Callable[[Object, Live], str]] = {
    "PublicKey": _described,
    "Directory": _described,
    "SieveSystemScript": _described,
    "SieveUserScript": _described,
    "SpamRule": _described,
    "SpamTag": _tagged,
    "SpamDnsblServer": _described,
    "MtaInboundThrottle": _described,
    "MtaOutboundThrottle": _described,
    "WebHook": _webhook,
}
"""By kind: why an object is deleted; empty for one that somebody else made."""
