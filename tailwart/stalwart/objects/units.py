"""Durations and sizes with a unit: the server's own terms are milliseconds and bytes."""

from __future__ import annotations

import re

_DURATIONS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_SIZES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")

FORMS = {"duration": 'or a text such as "30s", "15m", "12h", "30d"', "size": 'or a text such as "500K", "25M", "2G"'}


def amount(form: str, text: str) -> int | None:
    """A duration in milliseconds or a size in bytes; None for a text that is neither.

    amount("duration", "90s") == 90_000
    amount("size", "25M") == 25 * 1024**2
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        return None
    if form == "duration":
        factor = _DURATIONS.get(found[2].lower())
    else:
        factor = _SIZES.get(found[2].upper().removesuffix("B").removesuffix("I") or "?")
    return None if factor is None else round(float(found[1]) * factor)


def written(form: str, value: int) -> int | str:
    """The shortest text with a unit that means exactly this value; the number itself where none does.

    written("duration", 90_000) == "90s"
    """
    units = _DURATIONS if form == "duration" else _SIZES
    for name, factor in sorted(units.items(), key=lambda unit: -unit[1]):
        if value and value % factor == 0:
            return f"{value // factor}{name}"
    return value
