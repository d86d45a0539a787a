"""The facts of the running server: what its own API shows, who uses its store, who serves its keys. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from tailwart.checks.keys import Key, Served
from tailwart.checks.measures import QUEUE
from tailwart.checks.model import CannotLook
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.network import HTTPS_LABELS
from tailwart.stalwart.accounts.bans import Banned
from tailwart.stalwart.accounts.queued import Queued
from tailwart.stalwart.lifecycle.second_server import Client as StoreClient
from tailwart.stalwart.lifecycle.server import Observed
from tailwart.stalwart.protocol.kinds import Object
from tailwart.stalwart.protocol.live import Live
from tailwart.supply.issuances import Issuance


@dataclass(frozen=True)
class ServerFacts:
    """The server as its API shows it. ``others``: who else has queried the store, or why nobody could be asked.

    ``counted`` are its counters by the names of `checks.measures`; empty where it does not publish its metrics.
    ``served`` is what the name servers say of its keys, ``issued`` the certificates in the public logs, by domain; None
    when nobody asked. ``ipv6_egress`` is whether the namespace reaches the IPv6 internet, None where it was not asked.
    """

    environment: Environment
    observed: Observed
    running: str
    queue_length: int
    queue: Sequence[Queued]
    objects: Mapping[str, tuple[Object, ...]]
    bans: Sequence[Banned]
    others: Sequence[StoreClient] | TailwartError
    counted: Mapping[str, float] = field(default_factory=dict)
    served: Mapping[str, Served] = field(default_factory=dict)
    issued: Mapping[str, Sequence[Issuance]] | TailwartError | None = None
    ipv6_egress: bool | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def measures(self) -> dict[str, float]:
        """Numbers that are kept from run to run."""
        return {QUEUE: float(self.queue_length), **self.counted}

    @cached_property
    def live(self) -> Live:
        """The objects that the settings plane reads; raises `CannotLook` where no server runs."""
        if self.observed.live is None:
            raise CannotLook("no initialised Stalwart runs on the mailbox host")
        return self.observed.live

    def of(self, kind: str) -> tuple[Object, ...]:
        """The objects of a kind."""
        return self.objects.get(kind) or self.live.of(kind)

    def domain_id(self, domain: str) -> str:
        """The id of a mail domain; raises `CannotLook` where the server does not know it."""
        found = [str(item["id"]) for item in self.of("Domain") if item.get("name") == domain]
        if not found:
            raise CannotLook(f"the server does not know {domain}")
        return found[0]

    def keys(self, domain: str) -> list[Object]:
        """The DKIM keys of a domain."""
        identifier = self.domain_id(domain)
        return [item for item in self.of("DkimSignature") if item.get("domainId") == identifier]

    @cached_property
    def dkim_keys(self) -> tuple[Key, ...]:
        """The keys of all mail domains with their stages."""
        return tuple(
            Key(
                domain,
                str(item.get("selector")),
                str(item.get("stage")),
                str(item.get("publicKey")),
                time(item.get("nextTransitionAt")),
            )
            for domain in self.environment.domains
            for item in self.keys(domain)
        )

    def certificates(self, domain: str) -> list[Object]:
        """The valid certificates that a domain's names are served with: for each name the one that lasts longest.

        One that names a host itself is served before a wildcard.
        """
        valid = [item for item in self.of("Certificate") if (end := time(item.get("notValidAfter"))) and end > self.now]
        found: list[Object] = []
        for name in served_names(domain):
            own = [item for item in valid if name in (item.get("subjectAlternativeNames") or {})]
            wild = [item for item in valid if f"*.{domain}" in (item.get("subjectAlternativeNames") or {})]
            best = max(own or wild, key=lambda item: str(item.get("notValidAfter")), default=None)
            if best is not None and best not in found:
                found.append(best)
        return found

    def ages(self) -> Iterator[tuple[str, datetime]]:
        """Each mail domain, and until when the first of its certificates is valid."""
        for domain in self.environment.domains:
            if ends := [end for item in self.certificates(domain) if (end := time(item.get("notValidAfter")))]:
                yield domain, min(ends)


def served_names(domain: str) -> list[str]:
    """The names of a mail domain that the server shows a certificate for."""
    return [f"{label}.{domain}" for label in ("mail", *HTTPS_LABELS)]


def prefers_ipv6(route: Object) -> bool:
    """Whether a route to mail exchangers dials IPv6 first, or nothing else (lesson 8)."""
    return str(route.get("ipLookupStrategy")).startswith("v6")


def time(value: Any) -> datetime | None:
    """A time of the server's; None for what is none."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
