"""Where the mail server's own part of the zone comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What the mail server says about its zones.

    ``zone_files`` holds each domain's `dnsZoneFile`; ``account_uri`` is the ACME account of `x:AcmeProvider` (RFC 8657
    binds issuance to it), None without one. ``missing`` says, in the operator's words, why something is not known.
    """

    zone_files: dict[str, str] = field(default_factory=dict)
    account_uri: str | None = None
    missing: tuple[str, ...] = ()


class ZoneFileSource(Protocol):
    """Something that asks the mail server. Never raises for a server that is not there: it says what is missing."""

    def __call__(self) -> ServerFacts:
        """The server's answer, or what is missing of it."""


def absent(reason: str) -> ZoneFileSource:
    """A source for a mail server that cannot be asked."""

    def source() -> ServerFacts:
        return ServerFacts(missing=(reason,))

    return source
