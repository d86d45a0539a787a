"""The installation as a stranger meets it: `tailwart doctor --public`, from a machine outside the tailnet."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tailwart.checks.doctor import Outcome, answered
from tailwart.checks.model import Book, CannotLook, Check, Found, NotApplicable, Result, Severity
from tailwart.checks.public.look import look
from tailwart.dns.check.findings import Finding, State
from tailwart.environment import Environment
from tailwart.errors import TailwartError

PLANE = "public"


@dataclass(frozen=True, slots=True)
class PublicFacts:
    """Every finding of one look, in the areas of `tailwart.checks.public`."""

    findings: tuple[Finding, ...]


PUBLIC: Book[PublicFacts] = Book(PLANE)
_AREAS: dict[str, Sequence[str]] = {}


def areas_of(result: Result) -> Sequence[str]:
    """The areas of findings that a result was judged by."""
    return _AREAS[result.check.id]


def _enter(
    areas: Sequence[str],
    title: str,
    *,
    cause: str,
    remedy: str,
    lesson: int | None = None,
    required: bool = True,
) -> None:
    _AREAS[f"{PLANE}.{areas[0]}"] = areas
    severity = Severity.REQUIRED if required else Severity.RECOMMENDED

    @PUBLIC.check(areas[0], title, cause=cause, remedy=remedy, lesson=lesson, severity=severity)
    def _(facts: PublicFacts) -> Found:
        found = [each for each in facts.findings if each.area in areas]
        if not found:
            raise NotApplicable("nothing of it is published")
        wrong = [_line(each) for each in found if each.state is State.WRONG]
        silent = [_line(each) for each in found if each.state is State.UNKNOWN]
        # That this machine has no IPv6 is nothing about the installation, as long as something was seen.
        blind = [_line(each) for each in found if each.state is State.UNKNOWN and each.required]
        if not wrong and (blind or len(silent) == len(found)):
            raise CannotLook("\n".join(blind or silent))
        return wrong


def _line(finding: Finding) -> str:
    return f"{finding.subject}: {finding.detail}"


_ZONE = "tailwart dns plan, then apply; tailwart dns check asks the authoritative servers"
_EDGE = "pyinfra inventory.py deploy.py --limit edge"
_enter(
    ["mx"],
    "Every resolver leads mail to the installation",
    cause="A record is missing, or a cache still has the old one.",
    remedy=_ZONE,
)
_enter(
    ["addresses"],
    "Every resolver knows the mail host's addresses",
    cause="A record is missing, or a cache still has the old one.",
    remedy=_ZONE,
)
_enter(
    ["sender"],
    "Every resolver knows one SPF and one DMARC record",
    cause="With none, receivers distrust your mail; with two SPF records they refuse it.",
    remedy=_ZONE,
    lesson=14,
)
_enter(
    ["ports"],
    "Every public mail service answers at every address",
    cause="The edge does not run, or a packet filter stands before it.",
    remedy=_EDGE,
)
_enter(
    ["closed"],
    "Nothing else answers there",
    cause="Administration or a store is open to the world.",
    remedy="tailwart doctor --only edge; ss -ltnp on the host",
)
_enter(
    ["starttls"],
    "Every mail service offers TLS",
    cause="The server has no certificate, or something between strips STARTTLS.",
    remedy="pyinfra inventory.py deploy.py --limit mailbox",
)
_enter(
    ["certificate"],
    "Every certificate is trusted and names its host",
    cause="No certificate was obtained, or a renewal failed.",
    remedy="tailwart doctor --only server",
    lesson=4,
)
_enter(
    ["relay"],
    "No mail of strangers is taken for others",
    cause="A setting of the server lets clients that are not logged in send to anybody.",
    remedy="tailwart settings plan, then apply",
)
_enter(
    ["identity", "reverse"],
    "Reverse name, greeting and certificate of each address agree",
    cause="Receivers and their operators know a server by its name.",
    remedy="tailwart dns check, which has the PTR record to ask for",
    required=False,
)
_enter(
    ["dane"],
    "The TLSA records match what is shown",
    cause="A certificate was renewed with another key; senders that verify DANE refuse to deliver.",
    remedy=_ZONE,
)
_enter(
    ["mta-sts"],
    "The MTA-STS policy can be fetched and names the MX hosts",
    cause="mta-sts.DOMAIN does not lead to the mail server.",
    remedy=_EDGE,
    lesson=5,
    required=False,
)
_enter(
    ["clients"],
    "Mail programs find their settings",
    cause="autoconfig.DOMAIN or autodiscover.DOMAIN do not lead to the mail server.",
    remedy=_EDGE,
    lesson=5,
    required=False,
)
_enter(
    ["jmap"],
    "JMAP answers at the mail host's name",
    cause="The vhost of the edge does not lead to the mail server.",
    remedy=_EDGE,
    lesson=5,
    required=False,
)


def doctor(
    environment: Environment, chosen: Callable[[Check], bool], resolvers: Sequence[str] = ()
) -> tuple[Outcome, tuple[Finding, ...]]:
    """Look from here, and judge what was seen; the findings are what the table shows."""
    began, started = datetime.now(UTC), time.monotonic()
    facts = answered(lambda: PublicFacts(tuple(look(environment, resolvers))))
    results = tuple(PUBLIC.run(facts, PLANE, chosen))
    findings = () if isinstance(facts, TailwartError) else facts.findings
    return Outcome(results, began, time.monotonic() - started), findings
