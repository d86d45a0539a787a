"""Names at several resolvers: what each of them says, and whether they agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tailwart.checks.public.door import exchangers
from tailwart.dns import dmarc
from tailwart.dns.authority import Server
from tailwart.dns.check import resolving
from tailwart.dns.check.findings import Finding, ok, unknown, wrong
from tailwart.environment import Environment

ZONE_REMEDY = "tailwart dns plan, then apply"
_CACHES = "wait for the TTL; then tailwart dns check, which asks the authoritative servers"


@dataclass(frozen=True, slots=True)
class Question:
    """One record set. ``fault`` says what is wrong with its data, empty for nothing; ``begins``: only texts like it."""

    area: str
    name: str
    rtype: str
    fault: Callable[[Sequence[str]], str]
    begins: str = ""


def check(environment: Environment, domain: str, servers: Sequence[Server]) -> Iterator[Finding]:
    """What each resolver says of the domain."""
    for question in _questions(environment, domain):
        yield from _asked(question, servers)


def _questions(environment: Environment, domain: str) -> Iterator[Question]:
    yield Question("mx", domain, "MX", lambda found: "" if exchangers(found) else "no MX record")
    yield Question("sender", domain, "TXT", _one("SPF"), "v=spf1")
    yield Question("sender", f"{dmarc.NAME}.{domain}", "TXT", _one("DMARC"), "v=dmarc1")
    if domain == environment.domain:
        yield Question("addresses", environment.mail_host, "A", lambda found: "" if found else "no address")
        yield Question("addresses", environment.mail_host, "AAAA", lambda _: "")


def _one(what: str) -> Callable[[Sequence[str]], str]:
    return lambda found: "" if len(found) == 1 else f"{len(found)} {what} records"


def _asked(question: Question, servers: Sequence[Server]) -> Iterator[Finding]:
    """One record set at every resolver."""
    area, subject = question.area, f"{question.name} {question.rtype}"
    heard: dict[tuple[str, ...], list[str]] = {}
    for server in servers:
        values = resolving.texts(resolving.resolver(server), f"{question.name}.", question.rtype)
        if values is None:
            yield unknown(area, subject, f"{server.label} does not answer")
        else:
            chosen = tuple(sorted(each for each in values if _plain(each).lower().startswith(question.begins)))
            heard.setdefault(chosen, []).append(server.label)
    for chosen, labels in heard.items():
        shown = ", ".join(chosen) or "nothing"
        if reason := question.fault(chosen):
            yield wrong(area, subject, f"{reason} at {', '.join(labels)}", remedy=ZONE_REMEDY)
        elif len(heard) > 1:
            yield wrong(area, subject, f"{', '.join(labels)} say {shown}, others not", remedy=_CACHES)
        elif chosen:
            yield ok(area, subject, f"{shown} at {', '.join(labels)}")


def _plain(text: str) -> str:
    """A TXT record's text without the quotation marks between its parts."""
    return text.strip('"').replace('" "', "")
