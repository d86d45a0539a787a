"""What others report about the mail of our domains: DMARC and TLS reports that the mail server received and keeps.

Only those are known that arrived at this server: who sends reports, how often and about which mail is the decision of
each receiver, and the server removes them after a while (`mailbox_retention`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tailwart.errors import TailwartError
from tailwart.runner import Runner
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, stored_login
from tailwart.stalwart.protocol.jmap import Call
from tailwart.stalwart.protocol.transport import Transport

_KINDS = ("DmarcExternalReport", "TlsExternalReport")


@dataclass(frozen=True, slots=True)
class Reports:
    """The sums for one domain. ``failing`` messages pass neither by DKIM nor by SPF; ``sources`` are who sent them."""

    dmarc: int = 0
    messages: int = 0
    failing: int = 0
    sources: tuple[tuple[str, int], ...] = ()
    tls: int = 0
    sessions: int = 0
    failed_sessions: int = 0


ReportSource = Callable[[], Mapping[str, Reports] | None]
"""Reports by domain; a domain without any is missing. None when the server could not be asked."""


def unknown() -> Mapping[str, Reports] | None:
    """A source for a mail server that cannot be asked."""
    return None


def over_ssh(run: Runner) -> ReportSource:
    """A source that asks in the mail server's container, with the login that is stored on its host."""
    return over(ContainerTransport(run, stored_login(), seconds=20))


def over(transport: Transport) -> ReportSource:
    """A source over any transport."""

    def source() -> Mapping[str, Reports] | None:
        try:
            live = Client(transport).read([Call(kind, "get", {"ids": None}) for kind in _KINDS])
        except (TailwartError, TimeoutError):
            return None
        return summed(*(live.objects.get(kind, ()) for kind in _KINDS))

    return source


def summed(dmarc: Iterable[Mapping[str, Any]], tls: Iterable[Mapping[str, Any]]) -> dict[str, Reports]:
    """The sums by domain of the server's report objects; a member that is missing or of another kind counts as none."""
    counts: dict[str, Counter[str]] = {}
    sources: dict[str, Counter[str]] = {}
    for report in map(_report, dmarc):
        domain = _domain(report.get("policyDomain"))
        count = counts.setdefault(domain, Counter())
        count["dmarc"] += 1
        for row in _list(report.get("records")):
            number = _number(row.get("count"))
            count["messages"] += number
            if "pass" not in (row.get("evaluatedDkim"), row.get("evaluatedSpf")):
                count["failing"] += number
                sources.setdefault(domain, Counter())[str(row.get("sourceIp") or "an unknown address")] += number
    for report in map(_report, tls):
        for policy in _list(report.get("policies")):
            count = counts.setdefault(_domain(policy.get("policyDomain")), Counter())
            failed = _number(policy.get("totalFailedSessions"))
            count["tls"] += 1
            count["failed_sessions"] += failed
            count["sessions"] += failed + _number(policy.get("totalSuccessfulSessions"))
    return {
        domain: Reports(**count, sources=tuple(sources.get(domain, Counter()).most_common(3)))
        for domain, count in counts.items()
        if domain
    }


def _report(item: Mapping[str, Any]) -> Mapping[str, Any]:
    report = item.get("report")
    return report if isinstance(report, Mapping) else {}


def _list(value: object) -> Iterator[Mapping[str, Any]]:
    """The members of a list, which the server also writes as an object by position."""
    members = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return (each for each in members if isinstance(each, Mapping))


def _domain(value: object) -> str:
    return str(value or "").lower().rstrip(".")


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
