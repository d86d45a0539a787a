"""Data at any name: at the authoritative servers for zones of ours, through a resolver for everybody else's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dns.name
import dns.resolver

from tailwart.dns.authority import Server
from tailwart.dns.check.queries import UnansweredError, ask_any, rrset
from tailwart.dns.check.resolving import texts as resolved

_ALIASES = 8


class Names:
    """Asks for names; without a resolver (``through`` None) other people's names stay unanswered."""

    def __init__(self, servers: Mapping[str, Sequence[Server]], through: dns.resolver.Resolver | None) -> None:
        self._servers = {dns.name.from_text(zone): list(each) for zone, each in servers.items()}
        self._through = through

    def texts(self, name: str, rtype: str) -> list[str] | None:
        """The data of a record set, aliases followed: empty when there is none, None when nobody answered."""
        return self._texts(dns.name.from_text(name), rtype, _ALIASES)

    def caa(self, name: dns.name.Name) -> list[str] | None:
        """The CAA records at a name, aliases followed (RFC 8659 §3)."""
        return self._texts(name, "CAA", _ALIASES)

    def _texts(self, name: dns.name.Name, rtype: str, left: int) -> list[str] | None:
        zone = max((zone for zone in self._servers if name.is_subdomain(zone)), key=len, default=None)
        if zone is None or not self._servers[zone]:
            return None if self._through is None else resolved(self._through, name, rtype)
        try:
            reply = ask_any(self._servers[zone], name, rtype)
        except UnansweredError:
            return None
        if found := rrset(reply, name, rtype):
            return [rdata.to_text() for rdata in found]
        alias = rrset(reply, name, "CNAME")
        if alias is None or not left:
            return []
        return self._texts(alias[0].target, rtype, left - 1)
