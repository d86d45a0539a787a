"""Who may reach whom by the rules of a policy: as much of the semantics as it takes to find wide rules.

Rules add up and only allow, so one `*` → `*` opens everything that the managed grants leave closed. A
selector counts by what it means for tagged nodes: `*`, the tag itself, `autogroup:tagged`, and address ranges (literal,
from `hosts` or `ipsets`) that include the whole tailnet. Users, groups and the other autogroups never stand for a
tagged node. Source: https://tailscale.com/kb/1337/policy-syntax.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, ip_network
from typing import Any

from tailwart.network import TAILNET_V4, TAILNET_V6
from tailwart.tailnet.policy import Entry, Policy, Section

ALL_PORTS = ((0, 65535),)
_ALL_TAGGED = {"*", "autogroup:tagged", "autogroup:danger-all"}
_TCP = {"", "tcp", "6", "*"}

Ports = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One `acls` or `grants` entry that allows TCP.

    ``conditional`` rules (srcPosture, via) may not apply, so they are reported but break no test. ``label`` is how the
    rule is named in TS_ACKNOWLEDGED: its meaning, without commas, independent of its place in the file.
    """

    entry: Entry
    section: str
    sources: tuple[str, ...]
    destinations: tuple[tuple[str, Ports], ...]
    conditional: bool
    label: str

    @property
    def line(self) -> int:
        """Its line in the file, from 1."""
        return self.entry.line


@dataclass(frozen=True, slots=True)
class Selectors:
    """Resolves `hosts` and `ipsets` names of one policy."""

    networks: dict[str, tuple[str, ...]]

    def covers(self, selector: str, tag: str) -> bool:
        """Whether the selector certainly includes nodes with this tag; a single address may or may not: false."""
        if selector in _ALL_TAGGED or selector == tag:
            return True
        return any(_holds_tailnet(text) for text in self.networks.get(selector, (selector,)))

    def opens(self, rule: Rule, source: str, tag: str, port: int) -> bool:
        """Whether the rule allows TCP from nodes with the tag ``source`` to a port of nodes with the tag ``tag``."""
        return any(self.covers(text, source) for text in rule.sources) and any(
            self.covers(text, tag) and any(low <= port <= high for low, high in ports)
            for text, ports in rule.destinations
        )


def selectors(policy: Policy) -> Selectors:
    """The names that the policy's `hosts` and `ipsets` define, each with its addresses."""
    networks: dict[str, tuple[str, ...]] = {entry.key: (str(entry.value),) for entry in policy.hosts.entries}
    for entry in policy.ipsets.entries:
        members = entry.value if isinstance(entry.value, list) else []
        networks[entry.key] = tuple(str(member).removeprefix("add ") for member in members)
    return Selectors(networks)


def rules(policy: Policy) -> Iterator[Rule]:
    """All rules that allow TCP, both sections, in the order of the file. Entries of an unknown shape allow nothing."""
    for section in (policy.acls, policy.grants):
        for entry in section.entries:
            rule = _rule(section, entry)
            if rule is not None:
                yield rule


def _rule(section: Section, entry: Entry) -> Rule | None:
    if not isinstance(entry.value, dict):
        return None
    fields = {key.lower(): content for key, content in entry.value.items()}
    sources = _texts(fields.get("src", fields.get("users")))
    if section.name == "acls":
        if str(fields.get("action", "accept")).lower() != "accept" or str(fields.get("proto", "")).lower() not in _TCP:
            return None
        pairs = [_host_and_ports(text) for text in _texts(fields.get("dst", fields.get("ports")))]
        shown = [text.replace(",", "|") for text in _texts(fields.get("dst", fields.get("ports")))]
    else:
        ports = [port for text in _texts(fields.get("ip")) for port in _grant_ports(text)]
        pairs = [(text, tuple(ports)) for text in _texts(fields.get("dst"))] if ports else []
        suffix = "+".join(_texts(fields.get("ip"))).replace(",", "|")
        shown = [f"{text}:{suffix}" for text in _texts(fields.get("dst"))]
    if not sources or not pairs:
        return None
    return Rule(
        entry=entry,
        section=section.name,
        sources=sources,
        destinations=tuple(pairs),
        conditional=bool(fields.get("srcposture") or fields.get("via")),
        label=f"{'+'.join(sources)}->{'+'.join(text.removesuffix(':*') for text in shown)}",
    )


def _texts(content: Any) -> tuple[str, ...]:
    return tuple(text for text in content if isinstance(text, str)) if isinstance(content, list) else ()


def _host_and_ports(text: str) -> tuple[str, Ports]:
    host, _, ports = text.rpartition(":")
    return host.strip("[]"), tuple(_ranges(ports))


def _grant_ports(text: str) -> Iterator[tuple[int, int]]:
    protocol, _, ports = text.rpartition(":")
    if text == "*":
        yield from ALL_PORTS
    elif protocol.lower() in _TCP:
        yield from _ranges(ports)


def _ranges(text: str) -> Iterator[tuple[int, int]]:
    for part in text.split(","):
        low, _, high = part.strip().partition("-")
        if low == "*":
            yield from ALL_PORTS
        elif low.isdecimal() and (high or low).isdecimal():
            yield int(low), int(high or low)


@lru_cache(maxsize=4096)
def _holds_tailnet(text: str) -> bool:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return False
    if isinstance(network, IPv4Network):
        return TAILNET_V4.subnet_of(network)
    return TAILNET_V6.subnet_of(network)
