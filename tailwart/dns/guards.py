"""What no plan may do, whatever was asked for; every refusal says how to get what was meant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tailwart.dns import marks, spf, spfcost
from tailwart.dns.ownership import purpose
from tailwart.dns.spfcost import Answers, Texts, nobody
from tailwart.dns.zoneplan import ZonePlan
from tailwart.errors import TailwartError
from tailwart.providers.record import APEX, Record, fqdn

MAX_LOST = 0.30
"""Largest share of the managed records that a plan deletes without confirmation."""

_SHOWN = 500
"""Characters of a value that a message repeats."""

# RFC 4035 §2.5: the only types that may stand beside a CNAME.
_BESIDE_CNAME = {"CNAME", "RRSIG", "NSEC"}


def check(
    plan: ZonePlan, lookup: Texts, ttl: range, *, answers: Answers = nobody, allow_deletions: bool = False
) -> tuple[str, ...]:
    """Refuse an unsafe plan with `TailwartError` (all reasons at once); returns warnings for what cannot be known.

    ``ttl`` are the seconds that the provider accepts; ``lookup`` and ``answers`` ask for names outside the zone.
    A zone that has a fault which this plan does not touch is not refused for it: `tailwart dns check` names that.
    """
    warnings: list[str] = []
    refusals = [*_cname(plan), *_occluded(plan)]
    if plan.restoring:
        # A snapshot is brought back as it is: what is wrong with it is said, and was so before.
        wrong = [*_single(plan), *_spf(plan, lookup, answers, warnings)]
        warnings += [f"{error.what}: {error.seen}" for error in wrong]
    else:
        refusals += [*_ttl(plan, ttl), *_single(plan), *_spf(plan, lookup, answers, warnings), *plan.refusals]
    if not allow_deletions:
        refusals += _deletions(plan)
    if len(refusals) == 1:
        raise refusals[0]
    if refusals:
        raise TailwartError(
            f"the plan for {plan.zone} is refused for {len(refusals)} reasons",
            seen="; ".join(error.what for error in refusals),
            remedy=" ".join(error.remedy for error in refusals),
        )
    return tuple(warnings)


def _ttl(plan: ZonePlan, accepted: range) -> Iterator[TailwartError]:
    # Beside foreign records the TTL is theirs (RFC 2181 §5.2), whatever their provider allowed.
    shared = {(entry.rrset, entry.ttl) for entry in plan.foreign}
    wrong = [entry for entry in plan.puts if entry.ttl not in accepted and (entry.rrset, entry.ttl) not in shared]
    if wrong:
        yield TailwartError(
            f"TTL of {wrong[0].name} {wrong[0].type}",
            seen=str(wrong[0].ttl),
            expected=f"{accepted.start} to {accepted.stop - 1} seconds",
            remedy="set DNS_TTL within that range.",
        )


def _cname(plan: ZonePlan) -> Iterator[TailwartError]:
    """A CNAME stands alone at its name (RFC 1034 §3.6.2); a server that is asked for both serves neither reliably."""
    touched = {entry.name for entry in plan.puts}
    at: dict[str, list[Record]] = defaultdict(list)
    for entry in plan.final:
        at[entry.name].append(entry)
    for name in sorted(touched):
        aliases = [entry for entry in at[name] if entry.type == "CNAME"]
        others = [entry for entry in at[name] if entry.type not in _BESIDE_CNAME]
        if not aliases and (stands_in := [entry for entry in at[name] if entry.type == "ALIAS"]):
            # The provider answers an ALIAS with addresses, so anything but addresses may stand beside it.
            aliases, others = stands_in, [entry for entry in others if entry.type in {"A", "AAAA"}]
        if aliases and (others or len(aliases) > 1):
            ours = {entry.key for entry in plan.puts}
            foreign = next((entry for entry in [*aliases, *others] if entry.key not in ours), aliases[0])
            yield TailwartError(
                f"{name} of {plan.zone} would have a CNAME beside other data",
                seen=", ".join(f"{entry.type} {_short(entry.value)}" for entry in [*aliases, *others][:4]),
                expected="either one CNAME or other records (RFC 1034 §3.6.2)",
                remedy=f"delete {foreign.name} {foreign.type} at the provider, or leave the name alone: dns_exclude = "
                f'["{name} *"] in group_data/dns.py.',
            )


def _occluded(plan: ZonePlan) -> Iterator[TailwartError]:
    """Nothing at or below a delegation, and nothing below a DNAME, is served (RFC 1034 §4.2.1, RFC 6672 §2.4)."""
    cuts = {entry.name: entry for entry in plan.final if entry.type == "NS" and entry.name != APEX}
    redirected = {entry.name: entry for entry in plan.final if entry.type == "DNAME"}
    seen: set[Record] = set()
    for entry in plan.puts:
        labels = [] if entry.name == APEX else entry.name.split(".")
        above = [".".join(labels[at:]) or APEX for at in range(len(labels) + 1)]
        cut = next((cuts[name] for name in above if name in cuts and entry.type not in {"NS", "DS"}), None)
        cut = cut or next((redirected[name] for name in above[1:] if name in redirected), None)
        if cut is None or cut in seen:
            continue
        seen.add(cut)
        yield TailwartError(
            f"{entry.name} {entry.type} of {plan.zone} would never be served",
            seen=f"{cut.name} {cut.type} {_short(cut.value)}",
            expected="no delegation at the name or above it, and no DNAME above it",
            remedy=f"publish it where {cut.name} leads to, delete {cut.name} {cut.type}, or leave the name alone: "
            f'dns_exclude = ["{entry.name} {entry.type}"] in group_data/dns.py.',
        )


def _single(plan: ZonePlan) -> Iterator[TailwartError]:
    """One SPF and one DMARC a name; a second one that we may not remove is the provider's or an excluded one."""
    touched = {entry.name for entry in plan.puts}
    for kind, lesson in (("spf", 14), ("dmarc", None)):
        found: dict[str, list[Record]] = defaultdict(list)
        for entry in plan.final:
            if purpose(entry) == kind and entry.name in touched:
                found[entry.name].append(entry)
        for name, records in found.items():
            if len(records) > 1:
                stuck = next((e for e in records if e.locked or e.key in plan.ours.others), records[-1])
                owner = "it is excluded in group_data/dns.py"
                if stuck.locked:
                    owner = "a product of the provider holds it"
                elif stuck.key in plan.ours.others:
                    owner = f"the installation {', '.join(marks.owners(plan.live, stuck))} published it"
                yield TailwartError(
                    f"{name} of {plan.zone} would have {len(records)} {kind.upper()} records",
                    seen="; ".join(_short(entry.value) for entry in records[:4]),
                    expected="exactly one",
                    lesson=lesson,
                    remedy=f"remove {_short(stuck.value)!r} ({owner}), or exclude {name} TXT.",
                )


def _spf(plan: ZonePlan, lookup: Texts, answers: Answers, warnings: list[str]) -> Iterator[TailwartError]:
    texts, data = _within(plan, lookup, answers)
    for entry in plan.puts:
        if purpose(entry) != "spf":
            continue
        standing = [other.value for other in plan.live if other.name == entry.name and purpose(other) == "spf"]
        if invalid := spf.problems(entry.value):
            yield TailwartError(
                f"SPF of {entry.name}: a term that RFC 7208 does not know",
                seen=_short(", ".join(invalid)),
                expected="mechanisms such as include:, ip4:, ip6:, a, mx, all",
                remedy="correct SMARTHOST_SPF, or drop the term with dns_spf_remove in group_data/dns.py.",
            )
        for fault in spf.faults(entry.value, standing):
            yield TailwartError(
                f"SPF of {entry.name}: the records cannot be one",
                seen=_short(fault),
                expected="terms that mean the same in one record",
                lesson=14,
                remedy="take one of the terms out: dns_spf_remove in group_data/dns.py.",
            )
        found = spfcost.cost(entry.value, texts, data, fqdn(entry.name, plan.zone))
        heaviest = ", ".join(f"{name} costs {count}" for name, count in sorted(found.includes, key=lambda i: -i[1]))
        seen = f"{_short(entry.value)} ({heaviest})" if heaviest else _short(entry.value)
        for count, most, what in (
            (found.lookups, spfcost.MAX_LOOKUPS, "look-ups"),
            (found.voids, spfcost.MAX_VOIDS, "void look-ups (names without an answer)"),
        ):
            if count > most:
                yield TailwartError(
                    f"SPF of {entry.name} needs {count} {what}",
                    seen=seen,
                    expected=f"{most} at most, nested ones counted (RFC 7208 §4.6.4)",
                    remedy="see `tailwart dns spf`: replace an include by the ip4: and ip6: ranges it stands for "
                    "(`--flatten`), or drop it: dns_spf_remove.",
                )
        warnings += [f"SPF of {entry.name}: {remark}" for remark in spf.remarks(entry.value, standing)]
        warnings += [f"SPF of {entry.name}: {broken}, a permanent error to receivers" for broken in found.broken]
        if found.unknown:
            warnings.append(f"SPF of {entry.name}: look-ups inside {', '.join(found.unknown)} could not be counted")


def _within(plan: ZonePlan, lookup: Texts, answers: Answers) -> tuple[Texts, Answers]:
    """Answers with those of the zone itself as it will be, which no resolver knows yet."""
    final: dict[tuple[str, str], list[str]] = defaultdict(list)
    for entry in plan.final:
        final[fqdn(entry.name, plan.zone), entry.type].append(entry.value)

    def ours(name: str) -> bool:
        return (name == plan.zone or name.endswith(f".{plan.zone}")) and (name, "CNAME") not in final

    def texts(name: str) -> list[str] | None:
        return final.get((name, "TXT"), []) if ours(name) else lookup(name)

    def data(name: str, rtype: str) -> list[str] | None:
        return final.get((name, rtype), []) if ours(name) else answers(name, rtype)

    return texts, data


def _deletions(plan: ZonePlan) -> Iterator[TailwartError]:
    if plan.managed and len(plan.lost) > MAX_LOST * plan.managed:
        shown = ", ".join(f"{entry.name} {entry.type}" for entry in plan.lost[:8])
        yield TailwartError(
            f"the plan deletes {len(plan.lost)} of {plan.managed} managed records of {plan.zone}",
            seen=shown + (", …" if len(plan.lost) > 8 else ""),
            expected=f"{MAX_LOST:.0%} at most, unless you allow more (lesson 13)",
            lesson=13,
            remedy="read `tailwart dns plan`; if it is right, allow it: `tailwart dns apply --allow-deletions`, or "
            "`pyinfra inventory.py deploy.py --limit dns --data dns_allow_deletions=yes`.",
        )


def _short(text: str) -> str:
    """A value for a message: records of others may be very long."""
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 20]}…{text[-20:]}"
