"""Banned addresses: which there are, and how a ban is lifted so that it stays lifted.

The server keeps three things: the list (`x:BlockedIp`), the copy of it that its listeners look at, and the failures it
counted per address and per name. A ban ends when all three forget it: without the second step the address stays
refused, without the third its next failure bans it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from tailwart.errors import TailwartError
from tailwart.stalwart.protocol import orders
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.failures import SettingsError
from tailwart.stalwart.protocol.jmap import MAX_OBJECTS, Call

_LIST = "BlockedIp"
_LOOKS = 20
_REASONS = {
    "authFailure": "login",
    "rcptToFailure": "recipient",
    "loitering": "loiter",
    "portScanning": "scan",
}


@dataclass(frozen=True, slots=True)
class Banned:
    """One entry of the list: an address or a network. `reason` as in `mailbox_bans`; `until` empty: for ever."""

    object_id: str
    network: IPv4Network | IPv6Network
    reason: str
    since: str
    until: str

    @property
    def address(self) -> str:
        """The address, or the network where the entry is wider than one address."""
        one = self.network.num_addresses == 1
        return str(self.network.network_address if one else self.network)

    def document(self) -> dict[str, Any]:
        """The entry as plain values, for `--json`."""
        return {
            "address": self.address,
            "reason": self.reason,
            "since": self.since or None,
            "until": self.until or None,
        }


def banned(client: Client) -> list[Banned]:
    """Every ban, the newest first."""
    live = client.read((Call(_LIST, "get", {"ids": None}),))
    found = [
        Banned(
            str(item["id"]),
            ip_network(str(item["address"]), strict=False),
            _REASONS.get(str(item.get("reason")), str(item.get("reason"))),
            str(item.get("createdAt") or ""),
            str(item.get("expiresAt") or ""),
        )
        for item in live.of(_LIST)
    ]
    return sorted(found, key=lambda item: item.since, reverse=True)


def parse_address(text: str) -> IPv4Network | IPv6Network:
    """An address or a network as the operator writes it; raises TailwartError with what was expected."""
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        raise TailwartError(
            f"{text!r} is not an address",
            expected="an IPv4 or IPv6 address, or a network such as 203.0.113.0/24",
            remedy="tailwart bans list, which shows the addresses that are banned",
        ) from None


def matching(found: Iterable[Banned], wanted: IPv4Network | IPv6Network) -> list[Banned]:
    """The entries of exactly this address or network.

    Raises TailwartError when a wider entry bans it: lifting that frees others as well, so it must be named.
    """
    exact = [item for item in found if item.network == wanted]
    for item in () if exact else found:
        if item.network.version == wanted.version and wanted.subnet_of(item.network):  # type: ignore[arg-type]
            raise TailwartError(
                f"{wanted.network_address} is banned as a part of {item.address}",
                seen=f"one entry for {item.address}, {item.reason}",
                expected="the entry as it is listed",
                remedy=f"tailwart bans lift {item.address}",
            )
    return exact


def lift(client: Client, entries: Sequence[Banned], pause: Callable[[], None]) -> bool:
    """Lift these bans, and forget what was counted, of every address and name.

    With no entries the other two steps are done all the same: so a lift that was interrupted is finished by the next.
    Returns whether the server has forgotten already; it does so in a task of its own, between the looks at which
    ``pause`` waits. Raises SettingsError when the server refuses a step.
    """
    calls = [
        Call(_LIST, "set", {"destroy": [item.object_id for item in entries[start : start + MAX_OBJECTS]]})
        for start in range(0, len(entries), MAX_OBJECTS)
    ]
    answers = client.call([*calls, orders.action(orders.RELOAD_BANS), orders.maintenance(orders.RESET_RATE_LIMITERS)])
    for answer in answers:
        refusals = {**(answer.arguments.get("notCreated") or {}), **(answer.arguments.get("notDestroyed") or {})}
        for error in refusals.values():
            if error.get("type") == "notFound":
                continue
            raise SettingsError(
                "Stalwart refused to lift a ban",
                seen=f"{answer.call.name}: {error.get('type')} {error.get('description') or ''}".strip(),
                remedy="run this again; each step may be repeated",
            )
    task = str(answers[-1].arguments["created"][orders.PLACE]["id"])
    for _ in range(_LOOKS):
        (answer,) = client.call([Call("Task", "get", {"ids": [task]})])
        if not answer.objects:
            return True
        pause()
    return False
