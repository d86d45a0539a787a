"""Who may reach whom by the rules of a policy: as much of the semantics as it takes to find wide rules.

Rules add up and only allow, so one `*` → `*` opens everything that the managed grants leave closed. Selectors count by
what they mean for tagged nodes: `*`, the tag itself, `autogroup:tagged`, and addresses that together include the whole
tailnet, however they are written. Users, groups and the other autogroups never stand for a tagged node. A destination
without a port is one with all. Source: https://tailscale.com/kb/1337/policy-syntax.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tailwart.tailnet.addresses import Aliases, aliases, holds_much_of_tailnet, holds_tailnet
from tailwart.tailnet.policy import Entry, Policy, Section

ALL_PORTS = ((0, 65535),)
SSH = ((22, 22),)
_ALL_TAGGED = {"*", "autogroup:tagged", "autogroup:danger-all"}
_TCP = {"", "tcp", "6", "*"}
_BRACKETS = re.compile(r"[\[\]]")
_PORT_LIST = re.compile(r"\*|\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*")

Ports = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry that allows TCP (`acls`, `grants`), Tailscale SSH (`ssh`) or Funnel (`nodeAttrs`).

    ``conditional`` rules (posture, via, SSH) may not apply, so they are reported but break no test. ``label`` is how
    the rule is named in TS_ACKNOWLEDGED: its meaning, without commas, independent of its place in the file, with a
    digest of what its aliases stand for. ``aliases`` is that for people.
    """

    entry: Entry
    section: str
    sources: tuple[str, ...]
    destinations: tuple[tuple[str, Ports], ...]
    conditional: bool
    label: str
    aliases: str = ""

    @property
    def line(self) -> int:
        """Its line in the file, from 1."""
        return self.entry.line


@dataclass(frozen=True, slots=True)
class Selectors:
    """What the selectors of one policy stand for."""

    aliases: Aliases

    def covers(self, selectors: Iterable[str], tag: str) -> bool:
        """Whether selectors together certainly include nodes with this tag; some addresses may or may not: false."""
        selectors = tuple(selectors)
        if any(selector in _ALL_TAGGED or selector == tag for selector in selectors):
            return True
        return holds_tailnet(one for selector in selectors for one in self.aliases.ranges(selector))

    def may_cover(self, selectors: Iterable[str], tag: str) -> bool:
        """Whether selectors together include nodes with this tag, or so many addresses that they may well."""
        selectors = tuple(selectors)
        ranges = (one for selector in selectors for one in self.aliases.ranges(selector))
        return self.covers(selectors, tag) or holds_much_of_tailnet(tuple(ranges))

    def is_address(self, selector: str) -> bool:
        """Whether a selector stands for addresses."""
        return bool(self.aliases.ranges(selector))

    def opens(self, rule: Rule, source: str, tag: str, port: int) -> bool:
        """Whether the rule certainly allows TCP from nodes with the tag ``source`` to a port of nodes with ``tag``."""
        if not self.covers(rule.sources, source):
            return False
        targets = [text for text, ports in rule.destinations if any(low <= port <= high for low, high in ports)]
        return self.covers(targets, tag)

    def ports(self, rule: Rule, tag: str) -> Ports:
        """The ports of nodes with a tag that the rule opens, or may open, to its sources."""
        edges = sorted({edge for _, ports in rule.destinations for low, high in ports for edge in (low, high + 1)})
        found = []
        for low, end in pairwise(edges):
            targets = [text for text, ports in rule.destinations if any(one <= low <= other for one, other in ports)]
            if targets and self.may_cover(targets, tag):
                found.append((low, end - 1))
        return tuple(found)


def selectors(policy: Policy) -> Selectors:
    """What the selectors of a policy stand for."""
    return Selectors(aliases(policy))


def rules(policy: Policy) -> Iterator[Rule]:
    """All rules that allow TCP, both sections, in the order of the file. Entries of an unknown shape allow nothing."""
    known = aliases(policy)
    default = _texts(policy.value("defaultSrcPosture"))
    for section in (policy.acls, policy.grants):
        for entry in section.entries:
            rule = _rule(section, entry, known, default)
            if rule is not None:
                yield rule


def rules_beside(policy: Policy) -> Iterator[Rule]:
    """What else opens a node: Tailscale SSH, which needs a network rule too, and Funnel, from the internet."""
    known = aliases(policy)
    default = _texts(policy.value("defaultSrcPosture"))
    for entry in policy.ssh.entries:
        fields = _fields(entry)
        if str(fields.get("action", "")).lower() in ("accept", "check"):
            sources, targets = _texts(fields.get("src")), _texts(fields.get("dst"))
            shown = f"ssh:{'+'.join(sources)}->{'+'.join(targets)}"
            conditions = _conditions(fields, default)
            yield _made(
                entry,
                "ssh",
                sources=sources,
                destinations=tuple((text, SSH) for text in targets),
                label=shown,
                conditions=conditions,
                known=known,
                conditional=True,
            )
    for entry in policy.node_attrs.entries:
        fields = _fields(entry)
        if "funnel" in _texts(fields.get("attr")):
            targets = _texts(fields.get("target"))
            shown = f"funnel->{'+'.join(targets)}"
            ways = tuple((text, ALL_PORTS) for text in targets)
            yield _made(
                entry,
                "nodeAttrs",
                sources=("internet",),
                destinations=ways,
                label=shown,
                conditions=(),
                known=known,
                conditional=True,
            )


def _rule(section: Section, entry: Entry, known: Aliases, default: tuple[str, ...]) -> Rule | None:
    fields = _fields(entry)
    sources = _texts(fields.get("src", fields.get("users")))
    if section.name == "acls":
        if str(fields.get("action", "accept")).lower() != "accept" or str(fields.get("proto", "")).lower() not in _TCP:
            return None
        targets = _texts(fields.get("dst", fields.get("ports")))
        pairs = [_host_and_ports(text) for text in targets]
        shown = [text.replace(",", "|") for text in targets]
    else:
        ports = [port for text in _texts(fields.get("ip")) for port in _grant_ports(text)]
        pairs = [(text, tuple(ports)) for text in _texts(fields.get("dst"))] if ports else []
        suffix = "+".join(_texts(fields.get("ip"))).replace(",", "|")
        shown = [f"{text}:{suffix}" for text in _texts(fields.get("dst"))]
    if not sources or not pairs:
        return None
    label = f"{'+'.join(sources)}->{'+'.join(text.removesuffix(':*') for text in shown)}"
    return _made(
        entry,
        section.name,
        sources=sources,
        destinations=tuple(pairs),
        label=label,
        conditions=_conditions(fields, default),
        known=known,
        conditional=False,
    )


def _conditions(fields: dict[str, Any], default: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Protocol, posture and router: a rule that loses one is another rule. A posture of its own counts alone."""
    posture = _texts(fields["srcposture"]) if "srcposture" in fields else default
    proto = str(fields.get("proto", ""))
    found = (("proto", (proto,) if proto else ()), ("posture", posture), ("via", _texts(fields.get("via"))))
    return tuple((name, values) for name, values in found if values)


def _made(
    entry: Entry,
    section: str,
    *,
    sources: tuple[str, ...],
    destinations: tuple[tuple[str, Ports], ...],
    label: str,
    conditions: tuple[tuple[str, tuple[str, ...]], ...],
    known: Aliases,
    conditional: bool,
) -> Rule:
    label += "".join(f";{name}={'|'.join(values)}" for name, values in conditions)
    named = [*sources, *(text for text, _ in destinations), *(text for _, values in conditions for text in values)]
    meaning: dict[str, Any] = {}
    for text in named:
        meaning |= known.meaning(text)
    if meaning:
        digest = hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()
        label += f"~{digest[:8]}"
    bound = {name for name, _ in conditions}
    conditional = conditional or not bound.isdisjoint({"posture", "via"})
    return Rule(entry, section, sources, destinations, conditional, label, _shown(meaning))


def _shown(meaning: dict[str, Any]) -> str:
    parts = []
    for name, content in meaning.items():
        members = [str(member) for member in content] if isinstance(content, list) else [str(content)]
        more = f" and {len(members) - 3} more" if len(members) > 3 else ""
        parts.append(f"{name} = {', '.join(members[:3]) or 'nobody'}{more}")
    return "; ".join(parts)


def _fields(entry: Entry) -> dict[str, Any]:
    return {key.lower(): content for key, content in entry.value.items()} if isinstance(entry.value, dict) else {}


def _texts(content: Any) -> tuple[str, ...]:
    return tuple(text for text in content if isinstance(text, str)) if isinstance(content, list) else ()


def _host_and_ports(text: str) -> tuple[str, Ports]:
    host, _, ports = text.rpartition(":")
    if host and _PORT_LIST.fullmatch(ports.replace(" ", "")):
        return _BRACKETS.sub("", host), tuple(_ranges(ports))
    return _BRACKETS.sub("", text), ALL_PORTS


def _grant_ports(text: str) -> Iterator[tuple[int, int]]:
    protocol, colon, ports = text.rpartition(":")
    if text == "*" or (not colon and text.lower() == "tcp"):
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
