"""Translation of what Tailscale accepts and headscale does not, so that both reach the same decision.

headscale evaluates access itself; only its limits are worked around:

- sections and selectors it does not know (derpMap, postures, admin autogroups …) are removed or mapped to its one
  owner;
- a test whose source or destination has no registered node yet is refused by headscale although a tailnet accepts it.
  Each such tag or user gets a stand-in address in the *checked* text, so that headscale's own engine runs the test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from lab.control.policy.headscale import Node

Policy = dict[str, Any]

_SECTIONS = {
    "groups", "hosts", "tagOwners", "acls", "grants", "nodeAttrs", "autoApprovers", "ssh", "tests", "sshTests",
    "randomizeClientPort",
}  # fmt: skip
_TAILSCALE_ONLY = {
    "postures", "defaultSrcPosture", "ipsets", "derpMap", "disableIPv4", "OneCGNATRoute", "extraDNSRecords",
}  # fmt: skip
_OWNER = "owner@"
_ROLES = {f"autogroup:{role}" for role in ("admin", "owner", "it-admin", "network-admin", "billing-admin", "auditor")}
_PEOPLE = _ROLES | {"autogroup:member", "autogroup:members"}


class Unacceptable(Exception):
    """Tailscale refuses the policy as well."""


@dataclass
class Translation:
    """`stored` is what headscale keeps, `checked` what it validates, `names` maps addresses to what they stand for."""

    stored: Policy
    checked: Policy
    names: dict[str, str] = field(default_factory=dict)


def translate(policy: object, nodes: Iterable[Node]) -> Translation:
    """Raises Unacceptable for what no policy server takes."""
    if not isinstance(policy, dict):
        raise Unacceptable("the policy file is not an object")
    if unknown := sorted(set(policy) - _SECTIONS - _TAILSCALE_ONLY):
        raise Unacceptable(f"unknown field {json.dumps(unknown[0])}")
    known = {name: deepcopy(value) for name, value in policy.items() if name in _SECTIONS}
    _map_selectors(known)
    stand_ins = _StandIns(known, nodes)
    checked = deepcopy(known)
    if known.get("tests"):
        stand_ins.extend(checked)
    stored = {name: value for name, value in known.items() if name not in {"tests", "sshTests"}}
    return Translation(stored, checked, stand_ins.names)


def _map_selectors(policy: Policy) -> None:
    for owners in policy.get("tagOwners", {}).values():
        _replace(owners)
    for rule in policy.get("acls", []):
        _rename(rule, {"users": "src", "ports": "dst"})
    for rule in policy.get("acls", []) + policy.get("grants", []):
        rule.pop("srcPosture", None)
        _replace(rule.get("src", []))
        _replace(rule.get("dst", []))
    for rule in policy.get("ssh", []):
        _replace(rule.get("src", []))
        _replace(rule.get("dst", []))
    approvers = policy.get("autoApprovers", {})
    for approved in [*approvers.get("routes", {}).values(), approvers.get("exitNode", [])]:
        _replace(approved)
    for test in policy.get("tests", []):
        _rename(test, {"user": "src", "allow": "accept"})
        test.pop("srcPostureAttrs", None)
        if test.get("src") in _ROLES:
            test["src"] = _OWNER


def _replace(selectors: list[str]) -> None:
    for index, selector in enumerate(selectors):
        for role in _ROLES:
            if selector == role or selector.startswith(f"{role}:"):
                selectors[index] = _OWNER + selector[len(role) :]
        if selectors[index] == "autogroup:members":
            selectors[index] = "autogroup:member"


def _rename(members: dict[str, Any], names: dict[str, str]) -> None:
    for old, new in names.items():
        if old in members:
            members[new] = members.pop(old)


class _StandIns:
    """One address for each tag and user that no node carries."""

    def __init__(self, policy: Policy, nodes: Iterable[Node]) -> None:
        nodes = list(nodes)
        self._groups: dict[str, list[str]] = policy.get("groups", {})
        self._live = {tag for node in nodes for tag in node.tags} | {_user(n.user) for n in nodes if not n.tags}
        tags = list(policy.get("tagOwners", {}))
        people = [user for members in self._groups.values() for user in members]
        people += [test["src"] for test in policy.get("tests", []) if "@" in str(test.get("src"))]
        missing = [name for name in dict.fromkeys(tags + people + [_OWNER]) if _user(name) not in self._live]
        # The top of the tailnet's range: sequential allocation never gets there in a lab.
        self._address = {name: f"100.127.{n // 250}.{n % 250 + 1}" for n, name in enumerate(missing)}
        self.names = {address: name for name, address in self._address.items()}

    def of(self, selector: str) -> list[str]:
        """Stand-in addresses that `selector` covers beside its live nodes."""
        if selector in self._groups:
            members = self._groups[selector]
        elif selector == "autogroup:tagged":
            members = [name for name in self._address if name.startswith("tag:")]
        elif selector in _PEOPLE:
            members = [name for name in self._address if not name.startswith("tag:")]
        else:
            members = [selector]
        return [self._address[member] for member in members if member in self._address]

    def live(self, selector: str) -> bool:
        """Whether headscale resolves `selector` without help."""
        if selector in self._groups:
            return any(_user(member) in self._live for member in self._groups[selector])
        return selector not in self._address

    def extend(self, policy: Policy) -> None:
        for grant in policy.get("grants", []):
            grant["src"] = self._with(grant.get("src", []), self.of)
            grant["dst"] = self._with(grant.get("dst", []), self.of)
        for rule in policy.get("acls", []):
            rule["src"] = self._with(rule.get("src", []), self.of)
            rule["dst"] = self._with(rule.get("dst", []), self._ported)
        tests: list[dict[str, Any]] = []
        for test in policy["tests"]:
            destinations = {
                kind: [d for entry in test[kind] for d in self._destinations(entry)]
                for kind in ("accept", "deny")
                if kind in test
            }
            source = str(test.get("src", ""))
            sources = ([source] if self.live(source) else []) + self.of(source)
            tests += [{**test, **destinations, "src": each} for each in sources or [source]]
        policy["tests"] = tests

    def _with(self, selectors: list[str], cover: Callable[[str], list[str]]) -> list[str]:
        return selectors + [address for selector in selectors for address in cover(str(selector))]

    def _ported(self, entry: str) -> list[str]:
        host, _, ports = entry.rpartition(":")
        return [f"{address}:{ports}" for address in self.of(host)]

    def _destinations(self, entry: str) -> list[str]:
        host = entry.rpartition(":")[0]
        return ([entry] if self.live(host) else []) + self._ported(entry)


def _user(name: str) -> str:
    """headscale knows `owner@` and `owner@tailnet.test` as one user; tags are themselves."""
    return name.split("@", 1)[0] + "@" if "@" in name and not name.startswith("tag:") else name
