"""SPF (RFC 7208): parse, and merge without doubling or losing a term."""

from __future__ import annotations

import re
from collections.abc import Iterable

VERSION = "v=spf1"

_TERM = re.compile(
    r"""(?P<qualifier>[+?~-]?)(?P<name>[a-z][a-z0-9._-]*)(?P<rest>(?:[:/=]\S*)?)\Z""", re.IGNORECASE | re.VERBOSE
)
_MECHANISMS = {"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"}
# From the most to the least permissive answer to "what about everybody else".
_SOFTNESS = ["+all", "?all", "~all", "-all"]


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
    """One record for several, the first of them ours: every term once, in order of appearance, the softest `all` last.

    The softest, because a mail source that only the other record's owner knew of must not start to bounce. Where an
    owner's record goes on with a `redirect` in the place of an `all`, ours gives up its own `all`, which would void it
    (RFC 7208 §6.1). ``removals`` are dropped wherever they stood; nothing else is. `faults` says what cannot be one.
    """
    dropped = {_same(term) for term in removals}
    kept: dict[str, str] = {}
    finals: list[str] = []
    modifiers: dict[str, str] = {}
    goes_on = False
    for number, text in enumerate([*texts, " ".join([VERSION, *additions])]):
        ends = [_final(term) for term in terms(text) if name_of(term) == "all" and _same(term) not in dropped]
        onward = [term for term in terms(text) if name_of(term) == "redirect" and _same(term) not in dropped]
        goes_on = goes_on or (number > 0 and bool(onward) and not ends)
        if number == 0:
            own, ends = ends, []
        finals += ends
        for term in terms(text):
            if _same(term) in dropped or name_of(term) == "all":
                continue
            modifier = "=" in term and name_of(term) not in _MECHANISMS
            (modifiers if modifier else kept).setdefault(_same(term), term)
    finals += [] if goes_on else own
    last = [min(finals, key=_SOFTNESS.index)] if finals else []
    return " ".join([VERSION, *kept.values(), *last, *modifiers.values()])


def faults(text: str, standing: Iterable[str] = ()) -> list[str]:
    """Why a merged record would not mean what the ``standing`` ones of its owner did; empty when it does."""
    found = []
    for modifier in ("redirect", "exp"):
        named = [term for term in terms(text) if name_of(term) == modifier]
        if len(named) > 1:
            found.append(f"{' and '.join(named)}: only one {modifier}= may stand in a record (RFC 7208 §6)")
    goes_on = [old for old in standing if _has(old, "redirect") and not _has(old, "all")]
    if goes_on and _has(text, "redirect") and _has(text, "all"):
        redirect = next(term for term in terms(goes_on[0]) if name_of(term) == "redirect")
        found.append(f"one record goes on with {redirect}, another one ends with an `all`, which would void it (§6.1)")
    return found


def remarks(text: str, standing: Iterable[str] = ()) -> list[str]:
    """What the owner should know of a record that is kept as he wrote it."""
    found = []
    if any(_same(term) == "+all" for term in terms(text)):
        found.append('+all lets everybody send in your name; it is kept: dns_spf_remove = ["+all"] takes it out')
    for old in standing:
        names = [name_of(term) for term in terms(old)]
        behind = terms(old)[names.index("all") + 1 :] if "all" in names else []
        late = [term for term in behind if name_of(term) in _MECHANISMS and _same(term) in same_terms(text)]
        if late:
            found.append(f"{', '.join(late)} stood behind `all`, where receivers do not look; now it counts")
    return found


def same_terms(text: str) -> set[str]:
    """The terms of a record in a form that compares: no `+`, lower case outside of macros."""
    return {_same(term) for term in terms(text)}


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


def name_of(term: str) -> str:
    """The name of a mechanism or modifier, lower case."""
    return re.split(r"[:/=]", term.lstrip("+-?~"), maxsplit=1)[0].lower()


def _has(text: str, name: str) -> bool:
    return any(name_of(term) == name for term in terms(text))


def _final(term: str) -> str:
    same = _same(term)
    return same if same in _SOFTNESS else "-all"


def _same(term: str) -> str:
    plain = term.removeprefix("+")
    if plain.lower() == "all":
        return "+all"
    return plain if "%{" in plain else plain.lower()
