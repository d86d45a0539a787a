"""What an SPF record costs a receiver (RFC 7208 §4.6.4): look-ups and void look-ups, those of includes counted."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tailwart.dns import spf

MAX_LOOKUPS = 10
"""Terms that cost the receiver a query, nested ones included; more is a permanent error (RFC 7208 §4.6.4)."""
MAX_VOIDS = 2
"""Queries without an answer; more is a permanent error (the same section)."""
_MAX_QUERIES = 40
"""Questions that are asked for one record: no receiver gets that far."""

_COSTLY = {"include", "a", "mx", "ptr", "exists", "redirect"}

Texts = Callable[[str], list[str] | None]
"""The TXT texts of a name; an empty list when it has none, None when nobody could be asked."""
Answers = Callable[[str, str], list[str] | None]
"""The data of a name and type (A, AAAA, MX) as text; as in `Texts`."""


@dataclass(frozen=True, slots=True)
class Cost:
    """How many terms a receiver must look up, and how many of them lead nowhere.

    ``unknown`` could not be asked, ``includes`` is the weight of each, ``broken`` says what is a permanent error by
    itself, such as an include of a name without SPF.
    """

    lookups: int
    unknown: tuple[str, ...] = ()
    includes: tuple[tuple[str, int], ...] = ()
    voids: int = 0
    broken: tuple[str, ...] = ()


@dataclass(slots=True)
class _Count:
    texts: Texts
    answers: Answers
    lookups: int = 0
    voids: int = 0
    queries: int = 0
    unknown: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def ask(self, name: str, rtype: str) -> list[str] | None:
        """An answer, unless everything about the record is known already or nobody may be asked any more."""
        if self.queries >= _MAX_QUERIES or self.lookups > 2 * MAX_LOOKUPS:
            return None
        self.queries += 1
        return self.texts(name) if rtype == "TXT" else self.answers(name, rtype)


def nobody(_name: str, _rtype: str) -> list[str] | None:
    """Answers where only texts are looked up: void look-ups of `a`, `mx` and `exists` are then not counted."""
    return None


def cost(text: str, texts: Texts, answers: Answers = nobody, domain: str = "") -> Cost:
    """Count the look-ups of a record that stands at ``domain``, following `include` and `redirect`."""
    count = _Count(texts, answers)
    includes: list[tuple[str, int]] = []
    _count(text, domain, count, (), includes)
    known = tuple(dict.fromkeys(count.unknown))
    return Cost(count.lookups, known, tuple(includes), count.voids, tuple(dict.fromkeys(count.broken)))


def target_of(term: str) -> str:
    """The name that a term leads to, without a final dot; empty for one without."""
    body = term.lstrip("+-?~")
    _, separator, rest = body.partition("=" if re.match(r"[a-z0-9._-]+=", body, re.IGNORECASE) else ":")
    return rest.partition("/")[0].rstrip(".").lower() if separator else ""


def _count(text: str, domain: str, count: _Count, path: tuple[str, ...], includes: list[tuple[str, int]]) -> None:
    final = any(spf.name_of(term) == "all" for term in spf.terms(text))
    for term in spf.terms(text):
        kind = spf.name_of(term)
        if kind not in _COSTLY or (kind == "redirect" and final):  # `all` answers before a redirect (§6.1)
            continue
        before = count.lookups
        count.lookups += 1
        target = target_of(term) or domain
        if kind in {"include", "redirect"}:
            _follow(target, count, path)
            includes.append((target, count.lookups - before))
        elif kind != "ptr":
            _see(kind, target, count)


def _follow(target: str, count: _Count, path: tuple[str, ...]) -> None:
    if target in path:
        # A loop is a permanent error of its own; counting it as the limit makes it visible as one.
        count.lookups += MAX_LOOKUPS + 1
        return
    found = None if "%" in target else count.ask(target, "TXT")
    if found is None:
        count.unknown.append(target)
        return
    records = [each for each in found if spf.is_spf(each)]
    if not found:
        count.voids += 1
    if len(records) != 1:
        count.broken.append(f"{target} has {'no SPF record' if not records else f'{len(records)} SPF records'}")
        return
    _count(records[0], target, count, (*path, target), [])


def _see(kind: str, target: str, count: _Count) -> None:
    """Whether the name of an `a`, `mx` or `exists` answers at all."""
    if not target or "%" in target:
        return
    found = [
        count.ask(target, rtype) for rtype in (("MX",) if kind == "mx" else ("A", "AAAA") if kind == "a" else ("A",))
    ]
    if all(answer == [] for answer in found):
        count.voids += 1
    elif kind == "mx" and len(found[0] or ()) > MAX_LOOKUPS:
        count.broken.append(f"{target} has more than {MAX_LOOKUPS} MX records")
