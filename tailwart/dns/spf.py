"""SPF (RFC 7208): parse, merge without doubling, count what a receiver has to look up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

VERSION = "v=spf1"
MAX_LOOKUPS = 10
"""Terms that cost the receiver a query, nested ones included; more is a permanent error (RFC 7208 §4.6.4)."""

_TERM = re.compile(
    r"""(?P<qualifier>[+?~-]?)(?P<name>[a-z][a-z0-9._-]*)(?P<rest>(?:[:/=]\S*)?)\Z""", re.IGNORECASE | re.VERBOSE
)
_MECHANISMS = {"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"}
_COSTLY = {"include", "a", "mx", "ptr", "exists", "redirect"}
# From the most to the least permissive answer to "what about everybody else".
_SOFTNESS = ["+all", "?all", "~all", "-all"]

Lookup = Callable[[str], list[str] | None]
"""The TXT texts of a name; an empty list when it has none, None when nobody could be asked."""


@dataclass(frozen=True, slots=True)
class Cost:
    """How many terms a receiver must look up, what could not be counted, and the weight of each include."""

    lookups: int
    unknown: tuple[str, ...] = ()
    includes: tuple[tuple[str, int], ...] = ()


def is_spf(text: str) -> bool:
    """Whether a TXT value is an SPF record: the version, then a space or the end (RFC 7208 §4.5)."""
    lowered = text.lower()
    return lowered == VERSION or lowered.startswith(f"{VERSION} ")


def terms(text: str) -> list[str]:
    """The terms after the version."""
    return text.split()[1:]


def problems(text: str) -> list[str]:
    """Terms that RFC 7208 does not know; a receiver answers them with a permanent error."""
    return [term for term in terms(text) if not _is_valid(term)]


def merge(texts: Iterable[str], additions: Iterable[str] = (), removals: Iterable[str] = ()) -> str:
    """One record for several: every term once, in order of appearance, the softest `all` last.

    The softest, because a mail source that only the other record's owner knew of must not start to bounce.
    ``removals`` are dropped wherever they stood. A `redirect` survives only without any `all`, which would void it
    (RFC 7208 §6.1).
    """
    dropped = {_same(term) for term in removals}
    kept: dict[str, str] = {}
    finals: list[str] = []
    modifiers: dict[str, str] = {}
    for term in [*(term for text in texts for term in terms(text)), *additions]:
        same = _same(term)
        if same in dropped:
            continue
        if _name(term) == "all":
            finals.append(same if same in _SOFTNESS else "-all")
        elif "=" in term and _name(term) not in _MECHANISMS:
            modifiers.setdefault(_name(term), term)
        else:
            kept.setdefault(same, term)
    if finals:
        modifiers.pop("redirect", None)
    last = [min(finals, key=_SOFTNESS.index)] if finals else []
    return " ".join([VERSION, *kept.values(), *last, *modifiers.values()])


def same_terms(text: str) -> set[str]:
    """The terms of a record in a form that compares: no `+`, lower case outside of macros."""
    return {_same(term) for term in terms(text)}


def cost(text: str, lookup: Lookup, _seen: frozenset[str] = frozenset()) -> Cost:
    """Count the look-ups of a record, following `include` and `redirect` through ``lookup``."""
    total = 0
    unknown: list[str] = []
    includes: list[tuple[str, int]] = []
    for term in terms(text):
        name = _name(term)
        if name not in _COSTLY:
            continue
        total += 1
        if name not in {"include", "redirect"}:
            continue
        target = re.split(r"[:=]", term, maxsplit=1)[-1].rstrip(".").lower()
        nested = _nested(target, lookup, _seen)
        total += nested.lookups
        unknown += nested.unknown
        includes.append((target, 1 + nested.lookups))
    return Cost(total, tuple(unknown), tuple(includes))


def _nested(target: str, lookup: Lookup, seen: frozenset[str]) -> Cost:
    if target in seen:
        # A loop is a permanent error of its own; counting it as the limit makes it visible as one.
        return Cost(MAX_LOOKUPS + 1)
    if "%{" in target:
        return Cost(0, (target,))
    texts = lookup(target)
    records = None if texts is None else [text for text in texts if is_spf(text)]
    if not records:
        return Cost(0, (target,))
    return cost(records[0], lookup, seen | {target})


def _is_valid(term: str) -> bool:
    match = _TERM.match(term)
    if match is None:
        return False
    name, rest = match["name"].lower(), match["rest"]
    if rest.startswith("="):
        return not match["qualifier"]  # any modifier name is allowed, unknown ones are ignored (RFC 7208 §6)
    if name not in _MECHANISMS:
        return False
    if name in {"include", "exists", "ip4", "ip6"}:
        return len(rest) > 1 and rest[0] == ":"
    return name != "all" or not rest


def _name(term: str) -> str:
    return re.split(r"[:/=]", term.lstrip("+-?~"), maxsplit=1)[0].lower()


def _same(term: str) -> str:
    plain = term.removeprefix("+")
    if plain.lower() == "all":
        return "+all"
    return plain if "%{" in plain else plain.lower()
