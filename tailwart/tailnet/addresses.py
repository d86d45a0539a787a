"""The address ranges that names of a policy stand for: hosts, IP sets with their additions and removals, literals.

Sources: https://tailscale.com/kb/1387/ipsets and https://tailscale.com/kb/1337/policy-syntax.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from tailwart.network import TAILNET_V4, TAILNET_V6
from tailwart.tailnet.policy import Policy

Range = tuple[int, int, int]
"""Version, first and last address."""

# As many addresses of the tailnet's as make it likely that managed nodes are among them: a 64th of IPv4, a /64 of IPv6.
_MANY = {4: 2**16, 6: 2**64}
_TAILNET: tuple[Range, ...] = tuple(
    (network.version, int(network.network_address), int(network.broadcast_address))
    for network in (TAILNET_V4, TAILNET_V6)
)


@dataclass(frozen=True, slots=True)
class Aliases:
    """The names that one policy defines: what each is, as it is written there."""

    hosts: Mapping[str, str] = field(default_factory=dict)
    ipsets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: Mapping[str, Any] = field(default_factory=dict)
    postures: Mapping[str, Any] = field(default_factory=dict)

    def ranges(self, selector: str, within: frozenset[str] = frozenset()) -> tuple[Range, ...]:
        """The addresses of a literal, a range, a host or an IP set; none for anything else, and for a circle."""
        name = selector.removeprefix("host:")
        if name in self.hosts:
            return literal(self.hosts[name])
        key = self._ipset(selector)
        if key is None:
            return literal(selector)
        if key in within:
            return ()
        found: tuple[Range, ...] = ()
        for member in self.ipsets[key]:
            verb, _, target = member.rpartition(" ")
            other = self.ranges(target.strip(), within | {key})
            found = minus(found, other) if verb.strip() == "remove" else joined((*found, *other))
        return found

    def meaning(self, selector: str, within: frozenset[str] = frozenset()) -> dict[str, Any]:
        """What a selector stands for by the policy, what that stands for included; empty for one that is no alias."""
        name, key = selector.removeprefix("host:"), self._ipset(selector)
        if name in self.hosts:
            return {name: self.hosts[name]}
        if key is not None and key not in within:
            found: dict[str, Any] = {key: list(self.ipsets[key])}
            for member in self.ipsets[key]:
                found |= self.meaning(member.rpartition(" ")[2], within | {key})
            return found
        for known in (self.groups, self.postures):
            if selector in known:
                return {selector: known[selector]}
        return {}

    def _ipset(self, selector: str) -> str | None:
        return next((key for key in (selector, f"ipset:{selector}") if key in self.ipsets), None)


def aliases(policy: Policy) -> Aliases:
    """The names that a policy defines. Entries of an unknown shape stand for nothing."""
    return Aliases(
        {entry.key: str(entry.value) for entry in policy.hosts.entries},
        {
            entry.key: tuple(str(member) for member in entry.value)
            for entry in policy.ipsets.entries
            if isinstance(entry.value, list)
        },
        {entry.key: entry.value for entry in policy.groups.entries},
        {entry.key: entry.value for entry in policy.postures.entries},
    )


def literal(text: str) -> tuple[Range, ...]:
    """An address, a network, or two addresses with a hyphen between."""
    first, hyphen, last = text.partition("-")
    try:
        if hyphen:
            low, high = ip_address(first.strip()), ip_address(last.strip())
            return ((low.version, int(low), int(high)),) if low.version == high.version else ()
        network = ip_network(text, strict=False)
    except ValueError:
        return ()
    return ((network.version, int(network.network_address), int(network.broadcast_address)),)


def joined(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """The same addresses in as few ranges as possible, in order."""
    found: list[Range] = []
    for version, low, high in sorted(ranges):
        if found and found[-1][0] == version and low <= found[-1][2] + 1:
            found[-1] = (version, found[-1][1], max(high, found[-1][2]))
        else:
            found.append((version, low, high))
    return tuple(found)


def minus(ranges: Iterable[Range], others: Iterable[Range]) -> tuple[Range, ...]:
    """The ranges without the addresses of others."""
    left = list(ranges)
    for version, low, high in others:
        cut: list[Range] = []
        for one in left:
            if one[0] != version or one[2] < low or one[1] > high:
                cut.append(one)
                continue
            if one[1] < low:
                cut.append((version, one[1], low - 1))
            if one[2] > high:
                cut.append((version, high + 1, one[2]))
        left = cut
    return joined(left)


def holds_tailnet(ranges: Iterable[Range]) -> bool:
    """Whether all of the tailnet's IPv4 or all of its IPv6 addresses are among these."""
    return any(
        version == known[0] and low <= known[1] and known[2] <= high
        for version, low, high in joined(ranges)
        for known in _TAILNET
    )


def holds_much_of_tailnet(ranges: Iterable[Range]) -> bool:
    """Whether so many of the tailnet's addresses are among these that a managed node may well have one of them."""
    shared = minus(_TAILNET, minus(_TAILNET, ranges))
    return any(
        sum(high - low + 1 for v, low, high in shared if v == version) >= many for version, many in _MANY.items()
    )
