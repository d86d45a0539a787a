"""What can be said about a zone without asking anybody: settings, group data, and the records that follow from them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from tailwart.dns import dmarc, guards, spf
from tailwart.dns.check.findings import Finding, ok, wrong
from tailwart.dns.desired import Desired
from tailwart.dns.overrides import PATH, Overrides, place, split
from tailwart.dns.ownership import Ledger, purpose
from tailwart.dns.zonefile import line
from tailwart.dns.zoneplan import compare
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.providers.record import Record, absolute

_CAA = re.compile(r'(?P<flags>\d+) (?P<tag>[a-z0-9]+) "(?P<value>.*)"\Z', re.IGNORECASE)
_CAA_TAGS = {"issue", "issuewild", "issuemail", "issuevmc", "iodef", "contactemail", "contactphone"}
_REPORT_TARGET = re.compile(r"mailto:[^@\s,!]+@[^@\s,!]+(![0-9]+[kmgt]?)?\Z", re.IGNORECASE)


def check(environment: Environment, overrides: Overrides, desired: dict[str, Desired], ttl: range) -> list[Finding]:
    """Findings about all zones; ``ttl`` are the seconds that the provider accepts. No network is used."""
    findings = list(_group_data(environment, overrides))
    for zone, one in desired.items():
        found = [*_plan(one, ttl), *_records(one)]
        findings += found or [ok("zone", zone, f"{len(one.records)} records, nothing to correct")]
    return findings


def _group_data(environment: Environment, overrides: Overrides) -> Iterator[Finding]:
    main, zones = environment.domain, environment.domains
    for key in overrides.records:
        owner, _ = split(key, "dns_records")
        if all(place(owner, zone, main).endswith(".") for zone in zones):
            yield _data(f'dns_records: "{key}"', "lies in none of your zones", f"use a name below {', '.join(zones)}")
        for pattern in overrides.exclude:
            if _covers(pattern, key, zones, main):
                yield _data(
                    f'dns_records: "{key}"',
                    f'is excluded by "{pattern}" as well',
                    "take one of the two out",
                    required=True,
                )
    for zone in sorted(set(overrides.dmarc) - {"*", *zones}):
        yield _data("dns_dmarc", f"{zone} is no mail domain of yours", f"use one of {', '.join(zones)}, or *")
    for term in sorted({*overrides.spf} & {*overrides.spf_remove}):
        yield _data("dns_spf", f"{term} is in dns_spf_remove as well", "take one of the two out")
    if overrides.dmarc and any(split(key, "dns_records")[0].startswith("_dmarc") for key in overrides.records):
        yield _data("dns_dmarc", "has no effect where dns_records has a _dmarc TXT", "take one of the two out")


def _data(subject: str, detail: str, remedy: str, *, required: bool = False) -> Finding:
    return wrong("group data", subject, detail, remedy=f"{remedy} ({PATH})", required=required)


def _covers(pattern: str, key: str, zones: Iterable[str], main: str) -> bool:
    owner, kind = split(pattern, "dns_exclude")
    name, rtype = split(key, "dns_records")
    return any(
        fnmatchcase(place(name, zone, main), place(owner, zone, main)) and fnmatchcase(rtype, kind) for zone in zones
    )


def _plan(desired: Desired, ttl: range) -> Iterator[Finding]:
    """What would be refused on an empty zone is refused on every one."""
    try:
        guards.check(compare(desired, (), Ledger()), lambda _: None, ttl, allow_deletions=True)
    except TailwartError as error:
        yield wrong(
            "zone", desired.intent.zone, f"{error.what} ({error.seen})", remedy=error.remedy, lesson=error.lesson
        )


def _records(desired: Desired) -> Iterator[Finding]:
    zone = desired.intent.zone
    aliases = {absolute(entry.name, zone).to_text() for entry in desired.records if entry.type == "CNAME"}
    seen: dict[tuple[str, str], Record] = {}
    for entry in desired.records:
        subject = f"{absolute(entry.name, zone).to_text(omit_final_dot=True)} {entry.type}"
        kind = purpose(entry)
        if kind in {"spf", "dmarc"} and (entry.name, kind) in seen:
            yield wrong("zone", subject, f"has two {kind.upper()} records", remedy="leave exactly one in dns_records")
        seen[(entry.name, kind)] = entry
        if entry.type in {"MX", "SRV", "NS"}:
            yield from _target(subject, entry, aliases)
        if kind == "spf":
            yield from (
                wrong(
                    "spf", subject, f"{term!r} is no term of RFC 7208", remedy="correct it in SMARTHOST_SPF or dns_spf"
                )
                for term in spf.problems(entry.value)
            )
        if kind == "dmarc":
            yield from _dmarc(subject, entry)
        if entry.type == "CAA":
            yield from _caa(subject, entry)
        if entry.type == "TXT" and not entry.value:
            yield wrong("zone", subject, "is empty", remedy=f"give it a text, or take it out: {line(entry, zone)}")


def _target(subject: str, entry: Record, aliases: set[str]) -> Iterator[Finding]:
    target = entry.value.split()[-1]
    if target in aliases:
        yield wrong(
            "zone",
            subject,
            f"leads to {target}, which is a CNAME (RFC 2181 §10.3)",
            remedy="give that name addresses, or name its target here",
            required=entry.type == "MX",
        )
    try:
        ipaddress.ip_address(target.rstrip("."))
    except ValueError:
        return
    yield wrong("zone", subject, f"leads to an address, {target}", remedy="it takes a name (RFC 1035 §3.3.9)")


def _dmarc(subject: str, entry: Record) -> Iterator[Finding]:
    tags = dmarc.tags(entry.value)
    for name in ("p", "sp", "np"):
        if name in tags and tags[name].lower() not in dmarc.STEPS:
            yield wrong(
                "dmarc", subject, f"{name}={tags[name]} is no policy", remedy=f"one of {', '.join(dmarc.STEPS)}"
            )
    if "p" not in tags:
        yield wrong("dmarc", subject, "has no p=", remedy=f"add: {dmarc.at_step(entry.value, 'none')}")
    for target in (part.strip() for name in ("rua", "ruf") for part in tags.get(name, "").split(",") if part.strip()):
        if not _REPORT_TARGET.match(target):
            yield wrong("dmarc", subject, f"{target} is no report address", remedy="write mailto:name@domain")
    if "rua" not in tags and entry.name == dmarc.NAME:
        yield wrong(
            "dmarc",
            subject,
            "asks for no reports",
            remedy="add rua=mailto:postmaster@… to see who fails",
            required=False,
        )


def _caa(subject: str, entry: Record) -> Iterator[Finding]:
    match = _CAA.match(entry.value)
    if match is None or int(match["flags"]) not in {0, 128}:
        yield wrong("caa", subject, f"{entry.value} is no CAA record", remedy='write 0 issue "ca.example" (RFC 8659)')
    elif match["tag"].lower() not in _CAA_TAGS:
        yield wrong(
            "caa",
            subject,
            f"the tag {match['tag']} is not known",
            remedy=f"one of {', '.join(sorted(_CAA_TAGS))}",
            required=match["flags"] == "128",
        )
