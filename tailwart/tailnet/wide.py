"""Wide rules: unmanaged rules that open what the managed grants leave closed.

They do not stop the push: they belong to the tailnet's owner. They are reported on each run with their line, and fail
the verification until TS_ACKNOWLEDGED names them. Managed tests that they would fail are skipped, and reported: the
server refuses a whole file when one test fails.
"""

from __future__ import annotations

from dataclasses import dataclass

from tailwart.tailnet.access import Ports, Rule, Selectors, rules, rules_beside, selectors
from tailwart.tailnet.desired import Desired, PolicyTest
from tailwart.tailnet.policy import Policy


@dataclass(frozen=True, slots=True)
class WideRule:
    """A wide rule, the connections it opens (a few examples), and whether TS_ACKNOWLEDGED names it."""

    rule: Rule
    opens: tuple[str, ...]
    acknowledged: bool

    def __str__(self) -> str:
        text = f"line {self.rule.line} ({self.rule.section}): {self.rule.label} opens {', '.join(self.opens)}"
        text += f" [{self.rule.aliases}]" if self.rule.aliases else ""
        if self.acknowledged:
            return f"{text} (acknowledged)"
        return f"{text}; narrow it, or acknowledge it with TS_ACKNOWLEDGED={self.rule.label}"


def wide_rules(policy: Policy, desired: Desired, acknowledged: tuple[str, ...]) -> tuple[WideRule, ...]:
    """All wide rules of a policy, in the order of the file. ``acknowledged`` are labels; white space does not count."""
    known = {_squeezed(label) for label in acknowledged}
    resolve = selectors(policy)
    found = []
    for rule in (*_unmanaged(policy, desired), *rules_beside(policy)):
        ways = _ways(rule, desired, resolve)
        if ways:
            found.append(WideRule(rule, tuple(ways[:4]), _squeezed(rule.label) in known))
    return tuple(found)


def without_broken(
    policy: Policy, desired: Desired
) -> tuple[tuple[PolicyTest, ...], tuple[tuple[PolicyTest, str, int, Rule], ...]]:
    """The desired tests less the `deny` targets that unmanaged rules open, and each such target with its rule."""
    resolve = selectors(policy)
    unmanaged = [rule for rule in _unmanaged(policy, desired) if not rule.conditional]
    kept, broken = [], []
    for test in desired.tests:
        deny = []
        for tag, port in test.deny:
            breaker = next((rule for rule in unmanaged if resolve.opens(rule, test.source, tag, port)), None)
            if breaker is None:
                deny.append((tag, port))
            else:
                broken.append((test, tag, port, breaker))
        if test.accept or deny:
            kept.append(PolicyTest(test.name, test.source, test.accept, tuple(deny)))
    return tuple(kept), tuple(broken)


def _unmanaged(policy: Policy, desired: Desired) -> list[Rule]:
    """The rules that no merge wrote; a mark in `acls`, where none writes, is a forged or a copied one."""
    return [
        rule
        for rule in rules(policy)
        if rule.section != "grants" or rule.entry.mark is None or rule.entry.mark.scope != desired.scope
    ]


def _ways(rule: Rule, desired: Desired, resolve: Selectors) -> list[str]:
    """What a rule opens beyond the managed grants: the mailbox to anybody, the other tags to edge and mailbox.

    Funnel opens whatever it is given to the internet.
    """
    ways = []
    # Addresses count together: two halves of the internet are the internet.
    addresses = tuple(source for source in rule.sources if resolve.is_address(source))
    sources = [(source,) for source in rule.sources if source not in addresses] + ([addresses] if addresses else [])
    for tag in desired.tag_owners:
        ports = resolve.ports(rule, tag)
        for source in sources if ports else []:
            if rule.section == "nodeAttrs" or _is_beyond(source, tag, ports, desired, resolve):
                ways.append(f"{'+'.join(source)} → {tag}")
    return list(dict.fromkeys(ways))


def _is_beyond(source: tuple[str, ...], tag: str, ports: Ports, desired: Desired, resolve: Selectors) -> bool:
    if source == (tag,):
        return False
    insiders = [own for own in (desired.edge, desired.mailbox) if own != tag and resolve.may_cover(source, own)]
    # A shared smarthost or store may serve others too; nobody else has business with the mailbox.
    others = source[:1] if tag == desired.mailbox else ()
    return any(_exceeds(ports, desired.granted(own, tag)) for own in (*insiders, *others))


def _exceeds(ports: Ports, granted: set[int]) -> bool:
    return any(not all(port in granted for port in range(low, high + 1)) for low, high in ports)


def _squeezed(label: str) -> str:
    return "".join(label.split())
