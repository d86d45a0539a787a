"""Which version is newer, and which advisory concerns one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Version = tuple[int, int, int]
_RELEASE = re.compile(r"v?(\d+)\.(\d+)\.(\d+)\Z")
_ANYWHERE = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
_BOUND = re.compile(r"(<=|>=|<|>|=)?\s*v?(\d+)\.(\d+)\.(\d+)\Z")
_SEVERITIES = ("critical", "high", "medium", "low")


@dataclass(frozen=True, slots=True)
class Advisory:
    """A published security advisory that concerns the version in use, and the version that fixes it."""

    identifier: str
    severity: str
    summary: str
    fixed: str


def number(text: str) -> Version | None:
    """A release's number; None for a pre-release and for what is no version.

    >>> number("v0.16.7"), number("trixie-slim"), number("v2.0.0-rc1")
    ((0, 16, 7), None, None)
    """
    found = _RELEASE.match(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def newest(current: str, candidates: Iterable[str], *, same_minor: bool = False) -> str:
    """The newest release after ``current``; empty for none. ``same_minor``: another 0.x is another program."""
    now = number(current)
    if now is None:
        return ""
    releases = {version: text for text in candidates if (version := number(text)) is not None}
    later = [version for version in releases if version > now and (not same_minor or version[:2] == now[:2])]
    return releases[max(later)] if later else ""


def concerning(current: str, advisories: Iterable[Mapping[str, Any]]) -> tuple[Advisory, ...]:
    """The advisories (as GitHub's API describes them) that concern ``current`` and are fixed in a later release."""
    now = number(current)
    found = []
    for advisory in advisories:
        for flaw in advisory.get("vulnerabilities") or []:
            fixes = [_tuple(match) for match in _ANYWHERE.findall(str(flaw.get("patched_versions") or ""))]
            later = sorted(fix for fix in fixes if now is not None and fix > now)
            if now is not None and later and _affects(str(flaw.get("vulnerable_version_range") or ""), now):
                found.append(
                    Advisory(
                        str(advisory.get("ghsa_id") or "advisory"),
                        str(advisory.get("severity") or "unknown"),
                        str(advisory.get("summary") or ""),
                        "v" + ".".join(map(str, later[0])),
                    )
                )
                break
    return tuple(sorted(found, key=lambda one: (_rank(one.severity), one.identifier)))


def _affects(text: str, version: Version) -> bool:
    """Whether a range like ``>= 2.7.0, < 2.11.3`` holds the version; a range that nobody can read holds all."""
    bounds = [_BOUND.match(part.strip()) for part in text.split(",") if part.strip()]
    for bound in bounds:
        if bound is None:
            return True
        other = (int(bound[2]), int(bound[3]), int(bound[4]))
        holds = {
            "<": version < other, "<=": version <= other, ">": version > other, ">=": version >= other,
        }.get(bound[1] or "=", version == other)  # fmt: skip
        if not holds:
            return False
    return True


def _tuple(parts: tuple[str, str, str]) -> Version:
    return int(parts[0]), int(parts[1]), int(parts[2])


def _rank(severity: str) -> int:
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)
