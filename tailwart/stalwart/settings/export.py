"""The live state in the plan format of Stalwart's own command-line client (NDJSON, `stalwart-cli apply`).

One `create` per kind with names of this project for the ids, so that objects refer to each other by `#domain-…`, then
one `update` per singleton. Properties that the server sets are skipped, and so is every secret: a masked one becomes a
reference to an environment variable where the object accepts one, and is skipped where it does not (passwords, access
keys, the login in a URL). Two
exports can be compared: order and names do not depend on the ids.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tailwart.printing import without_logins
from tailwart.stalwart.protocol.kinds import KINDS, REFERENCES
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.values import TYPE, canonical, members_of

MASKED = "****"
# Properties that only the server writes, by the schema of 0.16.7.
_SERVER_SET = frozenset(
    {
        "id",
        "createdAt",
        "emailAddress",
        "usedDiskQuota",
        "dnsZoneFile",
        "accountKey",
        "accountUri",
        "publicKey",
        "nextTransitionAt",
        "credentialId",
    }
)
# What the server shows although it gives access.
_SECRET = frozenset({"credentials", "accessKey", "accessKeyId", "applicationKey"})
# References to objects that are not exported.
_NOT_EXPORTED = frozenset({"defaultCertificateId", "directoryId", "memberTenantId"})


def plan_lines(live: Live) -> Iterator[str]:
    """The lines of the plan, without the newline; singletons come last, because they refer to other objects."""
    # Signatures hold private keys that nobody may read, so they are not exported: the server makes its own.
    collections = [kind.name for kind in KINDS.values() if not (kind.singleton or kind.server_made)]
    for kind in collections:
        # Groups before their members: a reference must be known when its line is read.
        for group in (True, False):
            items = [item for item in live.of(kind) if (item.get(TYPE) == "Group") is group]
            named = {live.key(kind, item): item for item in items}
            value = {_name(kind, key): _cleaned(named[key], kind, live) for key in sorted(named)}
            if value:
                yield json.dumps({TYPE: "create", "object": kind, "value": value}, ensure_ascii=False)
    for kind in (kind.name for kind in KINDS.values() if kind.singleton):
        for item in live.of(kind):
            yield json.dumps({TYPE: "update", "object": kind, "value": _cleaned(item, kind, live)}, ensure_ascii=False)


def _name(kind: str, key: str) -> str:
    return f"{kind.lower()}-{re.sub(r'[^A-Za-z0-9]+', '-', key).strip('-')}"


def _cleaned(value: Any, place: str, live: Live) -> Any:
    if not isinstance(value, Mapping):
        return value
    cleaned: dict[str, Any] = {}
    for name, item in value.items():
        if name in _SERVER_SET or name in _NOT_EXPORTED or item is None:
            continue
        if name in REFERENCES:
            cleaned |= _reference(name, item, live)
        elif name in _SECRET:
            continue
        elif name == "contact":
            cleaned[name] = {canonical(address): True for address in members_of(item)}
        elif isinstance(item, Mapping) and MASKED in item.values():
            cleaned[name] = {TYPE: "EnvironmentVariable", "variableName": _variable(place, name)}
        elif isinstance(item, str):
            cleaned |= {} if item == MASKED else {name: without_logins(item)}
        else:
            cleaned[name] = _cleaned(item, f"{place}_{name}", live)
    return dict(sorted(cleaned.items()))


def _reference(name: str, value: Any, live: Live) -> dict[str, Any]:
    kind = REFERENCES[name]
    if isinstance(value, Mapping):
        found = {f"#{_name(kind, known)}": True for item in value if (known := live.names.get((kind, item)))}
        return {name: found} if found else {}
    known = live.names.get((kind, str(value)))
    return {name: f"#{_name(kind, known)}"} if known else {}


def _variable(place: str, name: str) -> str:
    return re.sub(r"[^A-Z0-9]+", "_", f"STALWART_{place}_{name}".upper())
