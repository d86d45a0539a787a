"""The DKIM keys' lives: which stage each has, when the next one begins, and who serves the key by then.

Receivers ask any of the authoritative servers. So each is asked by itself, and never a cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tailwart.checks.model import CannotLook, Found
from tailwart.dns.authority import Answer, ask_all, locate
from tailwart.dns.check import resolving
from tailwart.environment import Environment

ACTIVE, PENDING, RETIRED = "active", "pending", "retired"
_AHEAD = timedelta(days=1)
"""A key that is about to sign must be served before it does: resolvers keep for hours that there was none."""
_LATE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Key:
    """One key. ``public`` is the value of `p=` in its record, ``until`` when its next stage begins (UTC)."""

    domain: str
    selector: str
    stage: str
    public: str
    until: datetime | None = None

    @property
    def rrset(self) -> tuple[str, str]:
        """The name below the domain, and the type, of its record."""
        return f"{self.selector}._domainkey", "TXT"

    def document(self) -> dict[str, str | None]:
        """The key as plain values, for JSON."""
        until = f"{self.until:%Y-%m-%dT%H:%M:%SZ}" if self.until else None
        return {"domain": self.domain, "selector": self.selector, "stage": self.stage, "next_transition": until}

    def signs(self, now: datetime) -> bool:
        """Whether it signs mail now or within a day."""
        return self.stage == ACTIVE or (self.stage == PENDING and self.until is not None and self.until < now + _AHEAD)

    def __str__(self) -> str:
        until = f" until {self.until:%Y-%m-%d %H:%M} UTC" if self.until else ""
        return f"{self.selector} of {self.domain} is {self.stage}{until}"


@dataclass(frozen=True, slots=True)
class Served:
    """What the authoritative servers of one domain answer; ``problems`` say which could not be found."""

    answers: tuple[Answer, ...] = ()
    problems: tuple[str, ...] = ()


def ask(environment: Environment, keys: Iterable[Key]) -> dict[str, Served]:
    """Each domain's servers, asked for its keys: DNS_NAMESERVERS, or those that the domain is delegated to."""
    wanted: dict[str, set[tuple[str, str]]] = {}
    for key in keys:
        wanted.setdefault(key.domain, set()).add(key.rrset)
    return {domain: _ask(environment, domain, rrsets) for domain, rrsets in wanted.items()}


def _ask(environment: Environment, domain: str, rrsets: set[tuple[str, str]]) -> Served:
    names: Sequence[str] = environment.dns_nameservers
    if not names and not environment.offline:
        names = resolving.nameservers(resolving.resolver(None), domain)
    if not names:
        return Served(problems=(f"the name servers of {domain} are not known: DNS_NAMESERVERS",))
    servers, problems = locate(names)
    return Served(tuple(ask_all(servers, domain, sorted(rrsets))), tuple(problems))


def unserved(keys: Sequence[Key], served: Mapping[str, Served], now: datetime) -> Found:
    """What signs, and is not everywhere; raises `CannotLook` where nothing is wrong and a server did not answer."""
    found, silent = _lacking(keys, served, now)
    found += _twins(keys)
    if silent and not found:
        raise CannotLook("\n".join(dict.fromkeys(silent)))
    return found


def _lacking(keys: Sequence[Key], served: Mapping[str, Served], now: datetime) -> tuple[list[str], list[str]]:
    """Servers that lack a key that signs, and who did not answer."""
    wrong: list[str] = []
    silent: list[str] = []
    for key in keys:
        if not key.signs(now):
            continue
        found = served.get(key.domain, Served(problems=(f"nobody was asked for {key.domain}",)))
        silent += found.problems
        answers = [answer for answer in found.answers if answer.rrset == key.rrset]
        silent += [answer.error for answer in answers if answer.error]
        lacking = [answer.server for answer in answers if not answer.error and not _has(answer, key)]
        if lacking:
            wrong.append(f"{key}, and not served by {', '.join(server.label for server in lacking)}")
    return wrong, silent


def overdue(keys: Sequence[Key], now: datetime) -> Found:
    """Keys whose next stage should have begun more than a day ago."""
    for key in keys:
        if key.stage != RETIRED and key.until is not None and key.until < now - _LATE:
            yield f"{key}, which is over"


def _twins(keys: Sequence[Key]) -> Iterator[str]:
    """Two keys under one selector: whichever is published, mail signed by the other fails."""
    seen: dict[tuple[str, str], Key] = {}
    for key in keys:
        if key.stage == RETIRED:
            continue
        other = seen.setdefault((key.domain, key.selector), key)
        if other is not key and other.public != key.public:
            yield f"{key.selector} of {key.domain} names two keys, one {other.stage} and one {key.stage}"


def _has(answer: Answer, key: Key) -> bool:
    return any(_public(entry.value) == key.public for entry in answer.records)


def _public(text: str) -> str:
    """The value of `p=` (RFC 6376 §3.6.1), which may be folded."""
    tags = (tag.partition("=") for tag in text.split(";"))
    return next(("".join(value.split()) for name, _, value in tags if name.strip() == "p"), "")
