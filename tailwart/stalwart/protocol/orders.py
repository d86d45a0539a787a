"""What the server is told to do: actions, which it does at once, and tasks, which it queues."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tailwart.stalwart.protocol.jmap import Call
from tailwart.stalwart.protocol.values import TYPE

RELOAD_SETTINGS = "ReloadSettings"
RELOAD_BANS = "ReloadBlockedIps"
RELOAD_CERTIFICATES = "ReloadTlsCertificates"
RELOAD_LOOKUPS = "ReloadLookupStores"
RELOADS = (RELOAD_SETTINGS, RELOAD_BANS, RELOAD_CERTIFICATES, RELOAD_LOOKUPS)
"""Between them everything that a server can read again without a restart."""

PAUSE_QUEUE = "PauseMtaQueue"
RESUME_QUEUE = "ResumeMtaQueue"

# Gives up the locks of messages that a process held which no longer exists. It counts from the next start on.
RELEASE_QUEUE_LOCKS = "removeLockQueueMessage"
# Forgets failed logins and unknown recipients: without it, an address whose ban was lifted is banned at once again.
RESET_RATE_LIMITERS = "resetRateLimiters"

PLACE = "now"
"""Under which name the server answers an order of this module."""

_NOW: Mapping[str, str] = {TYPE: "Pending"}


def action(name: str) -> Call:
    """The call that makes the server do this at once."""
    return Call("Action", "set", {"create": {PLACE: {TYPE: name}}})


def name_of(call: Call) -> str:
    """What an order is called: its action, or the kind of its task."""
    return next((str(item.get(TYPE)) for item in (call.arguments.get("create") or {}).values()), "?")


def maintenance(what: str) -> Call:
    """The call that queues maintenance of the store."""
    return Call("Task", "set", {"create": {PLACE: _maintenance(what)}})


def renewal(domain_id: str, due: datetime | None = None) -> dict[str, Any]:
    """The task that orders a domain's certificate, now or at a time."""
    when = {"due": f"{due.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"} if due else {}
    return {TYPE: "AcmeRenewal", "status": {**_NOW, **when}, "domainId": domain_id}


def key_rotation(domain_id: str) -> dict[str, Any]:
    """The task that moves a domain's DKIM keys on whose time has come."""
    return {TYPE: "DkimManagement", "status": _NOW, "domainId": domain_id}


def _maintenance(what: str) -> dict[str, Any]:
    return {TYPE: "StoreMaintenance", "maintenanceType": what, "status": _NOW}


ORDERS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    *(("Action", {TYPE: name}) for name in (*RELOADS, PAUSE_QUEUE, RESUME_QUEUE)),
    *(("Task", _maintenance(what)) for what in (RELEASE_QUEUE_LOCKS, RESET_RATE_LIMITERS)),
    ("Task", renewal("a")),
    ("Task", renewal("a", datetime(2027, 1, 20, tzinfo=UTC))),
    ("Task", key_rotation("a")),
)
"""Kind and document of every order that this project gives, for the check against a server's schema."""
