"""DMARC in steps (RFC 7489): a record's step is its `p`, and a domain climbs from `none` over `quarantine` to `reject`.

A domain without a record starts at `none`: with the server's recommended `reject` every sender that nobody thought of
would lose its mail on the first day. Who has a record keeps its step until `dns_dmarc` asks for another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

STEPS = ("none", "quarantine", "reject")
"""From the safe one to the strict one."""
NAME = "_dmarc"

_POLICY = re.compile(r"(;\s*p\s*=\s*)([^;\s]*)", re.IGNORECASE)


def is_dmarc(text: str) -> bool:
    """Whether a TXT value is a DMARC record: its first tag is the version (RFC 7489 §6.3)."""
    return text.split(";", 1)[0].replace(" ", "").lower() == "v=dmarc1"


def tags(text: str) -> dict[str, str]:
    """The tags of a record, names in lower case; the first of a repeated one counts."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            found.setdefault(name.strip().lower(), value.strip())
    return found


def step(text: str) -> str:
    """The step that a record is at; `none` where it names no valid one (RFC 7489 §6.6.3)."""
    policy = tags(text).get("p", "").lower()
    return policy if policy in STEPS else STEPS[0]


def at_step(text: str, chosen: str) -> str:
    """The record with another `p`, everything else as it was.

    >>> at_step("v=DMARC1; p=reject; rua=mailto:postmaster@example.org", "none")
    'v=DMARC1; p=none; rua=mailto:postmaster@example.org'
    """
    if _POLICY.search(text):
        return _POLICY.sub(lambda match: match[1] + chosen, text, count=1)
    version, semicolon, rest = text.partition(";")
    return f"{version}; p={chosen}" + (f";{rest}" if semicolon and rest.strip() else "")


def merged(recommended: str, standing: Iterable[str], *, own: Iterable[str] = (), asked: str | None = None) -> str:
    """The record for a domain where others stand.

    ``own`` are those texts that this tool published, whether they still stand or not: the server's text follows them at
    their step. Any other text is the owner's and stays as it is, but for the step that is ``asked`` for. Of several,
    which receivers ignore altogether (RFC 7489 §6.6.3), the softest counts.
    """
    here, published = sorted(standing, key=_hardness), sorted(own, key=_hardness)
    foreign = [text for text in here if text not in published]
    if foreign and here[0] in foreign:
        return at_step(here[0], asked) if asked else here[0]
    known = here or published
    return at_step(recommended, asked or (step(known[0]) if known else STEPS[0]))


def _hardness(text: str) -> int:
    return STEPS.index(step(text))
