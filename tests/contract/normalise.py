"""Comparison of a recorded answer with a live one: what differs from run to run is put aside, the rest is equal."""

from __future__ import annotations

import re
from typing import Any

# Ids made from the clock; those counted from 1 are the same in every run.
_CLOCK_ID = re.compile(r"^jp[ps][a-z0-9]{9}$")
_LIVE_ID = re.compile(r"^[a-z0-9]{11,13}$")

_VARIABLE = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "<time>"),
    (re.compile(r"\b(v1-(?:rsa|ed25519)-)\d{8}\b"), r"\1<day>"),
    (re.compile(r"^API_[A-Za-z0-9_-]{38}$"), "<key>"),
    (re.compile(r"(v=STSv1; id=)\d+"), r"\1<id>"),
    (re.compile(r"(a=sha256; d=)[A-Za-z0-9+/]{43}="), r"\1<digest>"),
    (re.compile(r"(TLSA \d 1 1 )[0-9a-f]{64}"), r"\1<digest>"),
    (re.compile(r"(/my-account/)[0-9a-f]+"), r"\1<account>"),
    (re.compile(r"Pebble (Intermediate|Root) CA [0-9a-f]{6}"), r"Pebble \1 CA <serial>"),
)
_BASE64 = re.compile(r"(?<=p=)[A-Za-z0-9+/=]{100,}|(?<=^)[A-Za-z0-9+/=]{300,}$|(?<=\n    \")[A-Za-z0-9+/=]{100,}")


def text(value: str) -> str:
    """`value` with times, keys and digests replaced; the length of key material stays visible."""
    for pattern, replacement in _VARIABLE:
        value = pattern.sub(replacement, value)
    return _BASE64.sub(lambda found: f"<{len(found[0])} characters>", value)


class Ids:
    """Which live id stands for which recorded one."""

    def __init__(self) -> None:
        self._live: dict[str, str] = {}

    def request(self, value: Any) -> Any:
        """A recorded request with this run's ids."""
        if isinstance(value, dict):
            return {self.request(key): self.request(member) for key, member in value.items()}
        if isinstance(value, list):
            return [self.request(member) for member in value]
        return self._live.get(value, value) if isinstance(value, str) else value

    def differences(self, recorded: Any, live: Any, at: str = "") -> list[str]:
        """Where the two differ, as readable lines; new ids are learnt on the way."""
        if isinstance(recorded, dict) and isinstance(live, dict):
            return self._members(recorded, live, at)
        if isinstance(recorded, list) and isinstance(live, list):
            if len(recorded) != len(live):
                return [f"{at}: {len(recorded)} recorded, {len(live)} live: {live}"]
            pairs = enumerate(zip(recorded, live, strict=True))
            return [line for n, (r, v) in pairs for line in self.differences(r, v, f"{at}[{n}]")]
        if isinstance(recorded, str) and isinstance(live, str):
            if at.endswith(("sessionState", ".state")):
                return []
            if _CLOCK_ID.match(recorded):
                return self._id(recorded, live, at)
            recorded, live = text(recorded), text(live)
        return [] if recorded == live else [f"{at}: recorded {recorded!r}, live {live!r}"]

    def _members(self, recorded: dict[str, Any], live: dict[str, Any], at: str) -> list[str]:
        lines: list[str] = []
        renamed = {self._live.get(key, key): member for key, member in recorded.items()}
        for key in sorted(renamed.keys() - live.keys()):
            lines.append(f"{at}.{key}: missing; recorded {renamed[key]!r}")
        for key in sorted(live.keys() - renamed.keys()):
            lines.append(f"{at}.{key}: not in the recording: {live[key]!r}")
        # `created` teaches the ids that later members use, so order is the recording's.
        for key, member in renamed.items():
            if key in live:
                lines += self.differences(member, live[key], f"{at}.{key}")
        return lines

    def _id(self, recorded: str, live: str, at: str) -> list[str]:
        known = self._live.setdefault(recorded, live)
        if known != live or not _LIVE_ID.match(live):
            return [f"{at}: id {live!r}, expected {known!r}"]
        return []
