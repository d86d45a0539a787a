"""A new DKIM key before its time: for a key that has leaked, or a provider that wants to see one.

The server rotates by itself every 90 days. Ordered by hand, the active key becomes the retiring one (published for 7
days more) and a new one signs at once. Selectors carry the day (`v1-rsa-YYYYMMDD`): a second rotation on one day would
give two keys one name, and mail signed by the older one would fail at every receiver.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from tailwart.errors import TailwartError
from tailwart.stalwart.protocol import orders
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.failures import SettingsError, refused, remedy
from tailwart.stalwart.protocol.jmap import Call
from tailwart.stalwart.protocol.kinds import Object
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.values import Ref

_PAST = "2000-01-01T00:00:00Z"
_DAY = re.compile(r"(\d{8})\Z")


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation of one domain's key would replace."""

    domain: str
    domain_id: str
    active: tuple[Object, ...]

    def describe(self) -> str:
        """The selectors that will retire."""
        return f"{self.domain}: {', '.join(str(item.get('selector')) for item in self.active)} retires"


def planned(live: Live, domain: str, now: datetime | None = None) -> Rotation:
    """The rotation of a domain's key; raises TailwartError when there is no key, or one of today."""
    now = now or datetime.now(UTC)
    found = live.resolve(Ref("Domain", domain))
    keys = [item for item in live.of("DkimSignature") if found and item.get("domainId") == found]
    active = tuple(item for item in keys if item.get("stage") == "active")
    if found is None or not active:
        raise TailwartError(
            f"{domain} has no DKIM key that could be rotated",
            seen="no such domain" if found is None else "no active key",
            expected=f"one of {', '.join(live.key('Domain', item) for item in live.of('Domain')) or 'no domain'}",
            remedy="name a domain of DOMAIN or EXTRA_DOMAINS in .env",
        )
    today = f"{now:%Y%m%d}"
    if taken := [str(item.get("selector")) for item in keys if _day(item) == today]:
        raise TailwartError(
            f"{domain} has a DKIM key of today",
            seen=f"selector {', '.join(taken)}",
            expected="one rotation a day at most: two keys would have this selector, and mail of one would fail",
            remedy="run this again tomorrow (UTC)",
        )
    return Rotation(domain, found, active)


def order(client: Client, rotation: Rotation, live: Live) -> None:
    """Order the rotation; raises SettingsError when the server refuses."""
    due = {str(item["id"]): {"nextTransitionAt": _PAST} for item in rotation.active}
    task = orders.key_rotation(rotation.domain_id)
    answers = client.call(
        [Call("DkimSignature", "set", {"update": due}), Call("Task", "set", {"create": {"rotate": task}})]
    )
    for answer in answers:
        for word in ("notUpdated", "notCreated"):
            for error in (answer.arguments.get(word) or {}).values():
                raise SettingsError(
                    f"the DKIM key of {rotation.domain} cannot be rotated",
                    seen=refused("order", answer.call.kind, rotation.domain, error, live.names),
                    remedy=remedy(error),
                )


def _day(key: Object) -> str:
    match = _DAY.search(str(key.get("selector")))
    return match[1] if match else ""
