"""What a write brings about: a restart, a reload, other orders, or nothing. One row per measurement.

Docs: docs/settings.md holds the same table; a test compares them. A kind without a row was not measured: a reload is
then the safe guess, because the server builds its whole configuration again from what is stored.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from tailwart.stalwart.protocol import orders
from tailwart.stalwart.protocol.jmap import Call


class PostApply(StrEnum):
    """The post-apply action of a write, in ascending order of weight."""

    NOTHING = ""
    RELOAD = "reload"
    RESTART = "restart"


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """One row: what follows a write to `fields` of these kinds (empty: to any field).

    `reload` is the order that makes the server read these objects again. `after_removal` follows the removal of one.
    `measured` says what was seen, or what the row rests on.
    """

    kinds: tuple[str, ...]
    action: PostApply
    measured: str
    fields: frozenset[str] = frozenset()
    reload: str = orders.RELOAD_SETTINGS
    after_removal: tuple[Call, ...] = ()


EFFECTS: tuple[Effect, ...] = (
    Effect(
        ("NetworkListener",),
        PostApply.RESTART,
        "a reload neither binds a socket nor takes over a listener's PROXY trust",
    ),
    Effect(("MtaRoute", "MtaOutboundStrategy"), PostApply.RESTART, "the route table is built once, at the start"),
    Effect(
        ("SystemSettings",),
        PostApply.RESTART,
        "the global PROXY trust counts from the next start",
        frozenset({"proxyTrustedNetworks"}),
    ),
    Effect(
        ("SystemSettings",),
        PostApply.RESTART,
        "the recommended zone names a new host name only after a restart",
        frozenset({"defaultHostname"}),
    ),
    Effect(("BlobStore",), PostApply.RESTART, "after a reload bodies still go to the store of before"),
    Effect(
        ("InMemoryStore", "SearchStore", "DataStore", "Coordinator"),
        PostApply.RESTART,
        "like the blob store: a reload keeps the stores that are open",
    ),
    Effect(
        ("Account", "Domain", "MailingList", "DkimSignature", "PublicKey"),
        PostApply.NOTHING,
        "looked up at each use: a new account logs in, a new password counts at once",
    ),
    Effect(("AllowedIp",), PostApply.RELOAD, "an address is exempt from bans after a reload, not before"),
    Effect(("Http",), PostApply.RELOAD, "allowed endpoints are in force after a reload"),
    Effect(
        ("BlockedIp",),
        PostApply.RELOAD,
        "a ban, or its removal, counts after ReloadBlockedIps; a removed one comes back at the next wrong password "
        "unless the rate limiters are reset",
        reload=orders.RELOAD_BANS,
        after_removal=(orders.maintenance(orders.RESET_RATE_LIMITERS),),
    ),
    Effect(
        ("Certificate",),
        PostApply.RELOAD,
        "a reload of the settings leaves certificates alone",
        reload=orders.RELOAD_CERTIFICATES,
    ),
    Effect(
        ("MemoryLookupKey", "MemoryLookupKeyValue", "HttpLookup", "StoreLookup"),
        PostApply.RELOAD,
        "a reload of the settings leaves lookup lists alone",
        reload=orders.RELOAD_LOOKUPS,
    ),
)

UNMEASURED = Effect((), PostApply.RELOAD, "nothing was measured of these: a reload builds them again")


def effects_of(kind: str, fields: Collection[str]) -> tuple[Effect, ...]:
    """Every row that a write to these fields of an object touches; `fields` empty: its creation or removal."""
    known = [row for row in EFFECTS if kind in row.kinds]
    touched = tuple(row for row in known if not row.fields or not fields or not row.fields.isdisjoint(fields))
    return touched or (UNMEASURED,)


def post_apply_of(kind: str, fields: Collection[str]) -> PostApply:
    """The heaviest post-apply action of a write to an object of any kind."""
    found = {row.action for row in effects_of(kind, fields)}
    return next(action for action in reversed(PostApply) if action in found)
