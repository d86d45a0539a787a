"""The zone as name servers, resolvers and clients see it: the findings of `tailwart dns check`, as results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from tailwart.checks.model import Book, Check, Found, NotApplicable, Result, Severity, Verdict
from tailwart.connectors.shell import SshRunner
from tailwart.dns import overrides
from tailwart.dns.check import run as zone_check
from tailwart.dns.check.findings import Finding, State
from tailwart.dns.check.run import Asked
from tailwart.dns.plane import combined, plane_of
from tailwart.environment import Environment
from tailwart.errors import TailwartError

HOST = "zone"
_CAUSE = "The zone, or what its names lead to, is not what the mail system needs."
_STATES = {State.OK: Verdict.PASSED, State.WRONG: Verdict.FAILED, State.UNKNOWN: Verdict.UNKNOWN}
_WORST = (Verdict.FAILED, Verdict.UNKNOWN, Verdict.PASSED)


@dataclass(frozen=True)
class ZoneFacts:
    """What the dns plane says: the key's problem, what a run would change, and every finding of the check."""

    provider: str
    key_problem: TailwartError | None
    changes: tuple[str, ...]
    refusal: TailwartError | None
    findings: tuple[Finding, ...]
    offline: bool = False


def gather(environment: Environment) -> ZoneFacts:
    """Ask provider, mail server, name servers and edges. Raises `TailwartError` when the mail server cannot say."""
    runner = SshRunner(environment, environment.mailbox_ssh) if environment.mailbox_ssh else None
    try:
        plane = plane_of(environment, overrides.load(), runner)
        provider, key_problem, refusal = None, None, None
        changes: tuple[str, ...] = ()
        if environment.dns_provider != "none":
            try:
                provider = plane.open_provider(lambda _: None)
                plans = plane.plans(provider)
                changes = tuple(f"{change.kind} {change.name}" for change in combined(plans.values()).changes)
                plane.guard(plans)
            except TailwartError as error:
                if provider is None or error.lesson == 2:
                    key_problem, provider = error, None
                else:
                    refusal = error
        findings = tuple(zone_check.check(zone_check.prepare(plane, provider, Asked())))
        return ZoneFacts(environment.dns_provider, key_problem, changes, refusal, findings, environment.offline)
    finally:
        if runner is not None:
            runner.close()


ZONE: Book[ZoneFacts] = Book("zone")


@ZONE.check(
    "provider-key",
    "The DNS provider accepts the key",
    remedy="put a valid key of the provider into .env",
    lesson=2,
)
def _(facts: ZoneFacts) -> Found:
    _need_provider(facts)
    if facts.key_problem is not None:
        yield f"{facts.key_problem.what}: {facts.key_problem.seen}"


@ZONE.check(
    "deployed",
    "The zone holds what the mail system needs",
    remedy="tailwart dns plan, then pyinfra inventory.py deploy.py --limit dns",
    lesson=13,
)
def _(facts: ZoneFacts) -> Found:
    _need_provider(facts)
    if facts.key_problem is not None:
        raise facts.key_problem
    yield from facts.changes
    if facts.refusal is not None:
        yield f"{facts.refusal.what}: {facts.refusal.seen}"


def _need_provider(facts: ZoneFacts) -> None:
    if facts.provider == "none":
        raise NotApplicable("DNS_PROVIDER is none")


def results(facts: ZoneFacts | TailwartError, chosen: Callable[[Check], bool]) -> Iterator[Result]:
    """The book's results, then one result for each area of the check: the worst of its findings."""
    yield from ZONE.run(facts, HOST, chosen)
    if isinstance(facts, TailwartError):
        return
    areas: dict[tuple[str, bool], list[Finding]] = {}
    for finding in facts.findings:
        areas.setdefault((finding.area, finding.required), []).append(finding)
    for (area, required), findings in areas.items():
        if chosen(check := _check(area, required, findings)):
            result = _result(check, findings)
            # OFFLINE: there is nobody beside the zone's own servers who could be asked.
            if facts.offline and not required and result.verdict is Verdict.UNKNOWN:
                result = replace(result, verdict=Verdict.SKIPPED)
            yield result


def _check(area: str, required: bool, findings: Iterable[Finding]) -> Check:
    lesson = next((each.lesson for each in findings if each.lesson is not None and each.state is State.WRONG), None)
    severity = Severity.REQUIRED if required else Severity.RECOMMENDED
    name = area.replace(" ", "-").lower()
    suffix = "" if required else "-advice"
    cause = "" if lesson else _CAUSE
    return Check(f"zone.{name}{suffix}", f"tailwart dns check: {area}", "tailwart dns check", cause, lesson, severity)


def _result(check: Check, findings: list[Finding]) -> Result:
    verdict = min((_STATES[each.state] for each in findings), key=_WORST.index)
    shown = [each for each in findings if _STATES[each.state] is verdict is not Verdict.PASSED]
    remedies = dict.fromkeys(each.remedy for each in shown if each.remedy)
    seen = tuple(f"{each.subject}: {each.detail}" if each.detail else each.subject for each in shown)
    return Result(check, HOST, verdict, seen[:6], "; ".join(remedies))
