"""Every record at every authoritative server, compared by the same rules that a plan follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby

from tailwart.dns import spfcost
from tailwart.dns.authority import Answer, Server, ask_all
from tailwart.dns.check import dkim
from tailwart.dns.check.findings import Finding, ok, unknown, wrong
from tailwart.dns.desired import Desired, is_dkim
from tailwart.dns.ownership import ADDRESS_TYPES, Ledger, is_spf, purpose, slot
from tailwart.dns.zonefile import line
from tailwart.dns.zoneplan import ZonePlan, compare
from tailwart.network import MAIL_SERVICES, SRV_LABELS, ports
from tailwart.providers.record import APEX, Record, absolute

AREA = "records"


def check(
    desired: Desired, servers: Iterable[Server], ledger: Ledger, lookup: spfcost.Texts
) -> tuple[list[Finding], dict[tuple[str, str], list[Record]]]:
    """Findings for one zone, and the records served by the first server that answers."""
    zone = desired.intent.zone
    findings = [unknown(AREA, zone, text, required=False) for text in desired.missing]
    served: dict[tuple[str, str], list[Record]] = {}
    answers = ask_all(servers, zone, _rrsets(desired))
    for server, group in groupby(sorted(answers, key=lambda a: a.server.label), key=lambda a: a.server):
        heard = list(group)
        silent = next((answer.error for answer in heard if answer.error), "")
        if silent:
            findings.append(
                unknown(AREA, f"{zone} at {server.label}", silent, remedy="check DNS_NAMESERVERS and the delegation")
            )
            continue
        live = [entry for answer in heard for entry in answer.records]
        here = _by_rrset(heard)
        findings += _compare(desired, compare(desired, live, ledger), server)
        # A key is told once, however many servers have it.
        findings += [finding for finding in dkim.check(desired, here) if finding not in findings]
        served = served or here
    if answers and not served:
        findings.append(
            wrong(
                AREA,
                zone,
                "none of its authoritative servers answers for it",
                remedy="delegate the domain to them, or name the right ones in DNS_NAMESERVERS",
                lesson=13,
            )
        )
    findings += _senders(zone, served, lookup)
    return findings, served


def _rrsets(desired: Desired) -> set[tuple[str, str]]:
    """What is asked for: everything desired, and what could stand in its way."""
    intent = desired.intent
    rrsets = {entry.rrset for entry in desired.records}
    rrsets |= {(name, rtype) for name in intent.edge_names for rtype in ADDRESS_TYPES}
    rrsets |= {(f"_{port}._tcp.mail", "TLSA") for port in ports(MAIL_SERVICES) if intent.zone == intent.main}
    rrsets |= {(label, "SRV") for label in SRV_LABELS}
    return rrsets | {(APEX, "TXT"), (APEX, "MX"), (APEX, "CAA"), ("_dmarc", "TXT")}


def _by_rrset(answers: Iterable[Answer]) -> dict[tuple[str, str], list[Record]]:
    return {answer.rrset: list(answer.records) for answer in answers}


def _compare(desired: Desired, plan: ZonePlan, server: Server) -> Iterator[Finding]:
    zone = plan.zone
    subject = f"{zone} at {server.label}"
    present = {entry.key for entry in plan.live}
    senders = Counter(entry.name for entry in plan.live if is_spf(entry))
    doubled = {name for name, count in senders.items() if count > 1}
    for name in sorted(doubled):
        yield _double(plan, name, subject)
    missing = [entry for entry in plan.puts if entry.key not in present]
    missing = [entry for entry in missing if not (is_spf(entry) and entry.name in doubled)]
    keys = {entry.rrset for entry in desired.records if is_dkim(entry)}
    for entry in (entry for entry in missing if entry.rrset not in keys):
        instead = [other for other in plan.deletes if slot(other) == slot(entry)]
        detail = f"{_name(entry, zone)} {entry.type} " + (f"is {instead[0].value}" if instead else "is missing")
        yield wrong(
            AREA,
            subject,
            detail,
            remedy=f"{'change it to' if instead else 'add'}: {line(entry, zone)}",
            required=_is_required(entry, desired),
            lesson=13,
        )
    reported = {slot(entry) for entry in missing} | {(name, "TXT", "spf") for name in doubled}
    excess = [entry for entry in plan.deletes if slot(entry) not in reported and entry.rrset not in keys]
    for entry in excess:
        yield _excess(entry, plan, subject)
    if not (missing or excess or doubled):
        yield ok(AREA, subject, f"all {len(desired.records)} records are served")


def _double(plan: ZonePlan, name: str, subject: str) -> Finding:
    values = [entry.value for entry in plan.live if entry.name == name and is_spf(entry)]
    merged = next(entry for entry in plan.final if entry.name == name and is_spf(entry))
    return wrong(
        AREA,
        subject,
        f"{len(values)} v=spf1 records at {_name(merged, plan.zone)}, a permanent error to every receiver: "
        + " and ".join(map(repr, values)),
        remedy=f"leave exactly one: {line(merged, plan.zone)} (`tailwart dns apply` does it)",
        lesson=14,
    )


def _excess(entry: Record, plan: ZonePlan, subject: str) -> Finding:
    why = next((c.why for c in plan.plan.changes if c.why and (c.name, c.kind) == entry.rrset), "not desired")
    return wrong(
        AREA,
        subject,
        f"{_name(entry, plan.zone)} {entry.type} {entry.value[:80]} should not be there",
        remedy=f"remove it: {why} (`tailwart dns apply` does it)",
        required=is_dkim(entry) or entry.type in {"AAAA", "A", "CNAME", "MX"} or purpose(entry) == "dmarc",
        lesson=15 if is_dkim(entry) else 8 if entry.type == "AAAA" else None,
    )


def _senders(zone: str, served: dict[tuple[str, str], list[Record]], lookup: spfcost.Texts) -> Iterator[Finding]:
    """SPF and DMARC as a receiver sees them, whoever wrote them."""
    records = [entry for entry in served.get((APEX, "TXT"), ()) if is_spf(entry)]
    if len(records) == 1:
        found = spfcost.cost(records[0].value, lookup)
        if found.lookups > spfcost.MAX_LOOKUPS:
            yield wrong(
                "spf",
                zone,
                f"{found.lookups} look-ups, {spfcost.MAX_LOOKUPS} are allowed",
                remedy="replace includes by ip4: and ip6: ranges",
            )
        elif found.unknown:
            text = f"{found.lookups} look-ups and those inside {', '.join(found.unknown)}"
            yield unknown("spf", zone, text, required=False)
        else:
            yield ok("spf", zone, f"{found.lookups} of {spfcost.MAX_LOOKUPS} look-ups")
    policies = [entry for entry in served.get(("_dmarc", "TXT"), ()) if purpose(entry) == "dmarc"]
    if len(policies) > 1:
        yield wrong(
            "dmarc", zone, f"{len(policies)} DMARC records: receivers ignore all of them", remedy="leave exactly one"
        )


def _is_required(entry: Record, desired: Desired) -> bool:
    """What mail is lost without; the rest makes clients and senders more comfortable or more certain."""
    if entry.type in {"MX", "TLSA"} or is_dkim(entry) or purpose(entry) in {"spf", "dmarc"}:
        return True
    return entry.type == "A" and entry.name == "mail" and desired.intent.zone == desired.intent.main


def _name(entry: Record, zone: str) -> str:
    return absolute(entry.name, zone).to_text(omit_final_dot=True)
