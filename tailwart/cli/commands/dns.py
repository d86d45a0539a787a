"""The commands of `tailwart dns`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from tailwart.connectors.shell import SshRunner
from tailwart.connectors.turn import plane_turn
from tailwart.dns import lint as lints
from tailwart.dns import overrides, savedplan
from tailwart.dns import zonefile as zonetext
from tailwart.dns.archive import Archive
from tailwart.dns.check.findings import render as render_findings
from tailwart.dns.check.findings import to_json as findings_to_json
from tailwart.dns.plane import Plane, combined, no_vantages, plane_of
from tailwart.dns.source import ServerFacts
from tailwart.dns.zoneplan import ZonePlan
from tailwart.environment import Environment, load
from tailwart.errors import TailwartError
from tailwart.plan import render, to_json, to_markdown
from tailwart.plan.markdown import escaped
from tailwart.printing import say, style
from tailwart.providers.definition import Provider
from tailwart.providers.record import Record


def plan(
    zone: str | None, *, markdown: bool = False, out: Path | None = None, allow_deletions: bool = False, as_json: bool
) -> None:
    """Print the plan, keep it in ``out``. Raises `TailwartError` when a guard refuses it; nothing is kept then."""
    with _opened(zone) as (plane, provider):
        plans, refusal = _guarded(plane, plane.plans(provider), allow_deletions=allow_deletions)
        if out and not refusal:
            savedplan.save(out, plans.values(), provider.label)
    whole = combined(plans.values())
    if as_json:
        print_json({**to_json(whole), "refused": str(refusal) if refusal else None})
    elif markdown:
        say(to_markdown(whole))
        if refusal:
            say(f"\n**Refused:** {escaped(refusal.what)}")
    else:
        say(render(whole, colour=sys.stdout.isatty()))
    if refusal:
        raise refusal
    if out:
        say(f"Kept. Next: `tailwart dns apply {out}`.", err=as_json or markdown)
    elif whole and not (as_json or markdown):
        say("Next: `tailwart dns apply`, or `pyinfra inventory.py deploy.py --limit dns`.")


def apply(saved: Path | None, zone: str | None, *, allow_deletions: bool, yes: bool, as_json: bool) -> None:
    """Print the plan, ask unless ``yes``, and carry it out. `TailwartError` as `Plane.guard` and `.apply`."""
    with plane_turn("dns", load().environment.domain, notify), _opened(zone) as (plane, provider):
        plans = savedplan.load(saved, provider, plane.zones) if saved else plane.plans(provider)
        plans = plane.guard(plans, allow_deletions=allow_deletions)
        _carry_out(plane, provider, list(plans.values()), yes=yes, as_json=as_json)


def lint(zone: str | None, text: Path | None, *, as_json: bool) -> None:
    """Print what can be found without any network; exits with 1 when something required is wrong."""
    environment = load().environment
    chosen = overrides.load()
    plane = replace(plane_of(environment, chosen, None), vantages=no_vantages, only=zone)
    zone_text = text.read_text(encoding="utf-8") if text else None
    facts = ServerFacts(dict.fromkeys(plane.zones, zone_text) if zone_text else {})
    found = lints.check(environment, chosen, replace(plane, source=lambda: facts).desired(), plane.ttl_range)
    if as_json:
        print_json(findings_to_json(found))
    else:
        say(render_findings(found, colour=sys.stdout.isatty()))
    if any(finding.fails for finding in found):
        sys.exit(1)


def snapshot(zone: str | None, *, only_list: bool, as_json: bool) -> None:
    """Save each zone as it is now and print the paths, or print those of earlier snapshots."""
    if only_list:
        archive = Archive()
        names = {name: [str(path) for path in archive.snapshots(name)] for name in _names(load().environment, zone)}
        print_json(names) if as_json else say("\n".join(path for paths in names.values() for path in paths))
        return
    with _opened(zone) as (plane, provider):
        taken = {name: str(plane.archive.save(name, provider.read(name))) for name in plane.zones}
    print_json(taken) if as_json else say("\n".join(taken.values()))


def restore(which: str | None, zone: str | None, *, dry: bool, allow_deletions: bool, yes: bool, as_json: bool) -> None:
    """Print the plan that brings a zone back to a snapshot, and carry it out unless ``dry``; asks unless ``yes``.

    Raises `TailwartError` as `Plane.restorations`, `.guard` and `.apply`.
    """
    if dry:
        with _opened(zone) as (plane, provider):
            plans, refusal = _guarded(plane, plane.restorations(provider, which), allow_deletions=allow_deletions)
        whole = combined(plans.values())
        if as_json:
            print_json({**to_json(whole), "refused": str(refusal) if refusal else None})
        else:
            say(render(whole, colour=sys.stdout.isatty()))
        if refusal:
            raise refusal
        if whole and not as_json:
            say(f"Nothing was written. Next: `tailwart dns restore{f' {which}' if which else ''}`.")
        return
    with plane_turn("dns", load().environment.domain, notify), _opened(zone) as (plane, provider):
        plans = plane.guard(plane.restorations(provider, which), allow_deletions=allow_deletions)
        _carry_out(plane, provider, list(plans.values()), yes=yes, as_json=as_json)


def zonefile(zone: str | None, *, live: bool, raw: bool) -> None:
    """Print BIND zone text: the desired records, the provider's (``live``) or the mail server's own (``raw``)."""
    environment = load().environment
    with opened_plane(environment, zone) as plane:
        if raw:
            facts = plane.source()
            for name in plane.zones:
                say(facts.zone_files.get(name, "").rstrip())
            _notes(facts.missing)
            return
        if live:
            provider = plane.open_provider(notify)
            for name in plane.zones:
                say(zonetext.render(_served(provider.read(name)), name), nl=False)
            return
        for name, desired in plane.desired().items():
            say(zonetext.render(desired.records, name), nl=False)
            _notes((*(f"not known: {text}" for text in desired.missing), *desired.warnings))


def diff(old: str | None, new: str | None, zone: str | None, *, as_json: bool) -> None:
    """Print what two states of a zone do not share; exits with 1 when they differ."""
    environment = load().environment
    names = _names(environment, zone)
    archive = Archive()
    before = {name: archive.load(name, old).records for name in names}
    if new:
        after = {name: archive.load(name, new).records for name in names}
    else:
        with _opened(zone) as (plane, provider):
            after = {name: provider.read(name) for name in plane.zones}
    different = {name: _differences(before[name], after[name]) for name in names}
    if as_json:
        print_json({name: {"removed": removed, "added": added} for name, (removed, added) in different.items()})
    else:
        for name, (removed, added) in different.items():
            for sign, lines, colour in (("REMOVED", removed, "red"), ("ADDED", added, "green")):
                for line in lines:
                    say(style(f"{sign:7} {name} {line}", fg=colour if sys.stdout.isatty() else None))
    sys.exit(1 if any(removed or added for removed, added in different.values()) else 0)


def _guarded(
    plane: Plane, plans: dict[str, ZonePlan], *, allow_deletions: bool
) -> tuple[dict[str, ZonePlan], TailwartError | None]:
    """The plans with the guards' warnings, or as they are with the refusal."""
    try:
        return plane.guard(plans, allow_deletions=allow_deletions), None
    except TailwartError as error:
        return plans, error


def _carry_out(plane: Plane, provider: Provider, plans: list[ZonePlan], *, yes: bool, as_json: bool) -> None:
    whole = combined(plans)
    if not as_json:
        say(render(whole, colour=sys.stdout.isatty()))
    if whole and not yes:
        if as_json or not sys.stdin.isatty():
            raise TailwartError("nothing was written", seen="no terminal to ask at", remedy="add --yes")
        click.confirm("Write this?", abort=True)
    done = plane.apply(plans, provider, notify)
    warnings = [warning for applied in done for warning in applied.warnings]
    if as_json:
        snapshots = [str(applied.snapshot) for applied in done]
        print_json({**to_json(whole), "snapshots": snapshots, "not_verified": warnings})
        return
    for warning in warnings:
        say(f"! not verified: {warning}")
    if done:
        say("Done. Next: `tailwart dns check`.")


@contextmanager
def _opened(zone: str | None) -> Iterator[tuple[Plane, Provider]]:
    environment = load().environment
    with opened_plane(environment, zone) as plane:
        yield plane, plane.open_provider(notify)


@contextmanager
def opened_plane(environment: Environment, zone: str | None) -> Iterator[Plane]:
    """The plane of the installation, or of one zone of it; its connection to the mailbox ends with the block."""
    runner = SshRunner(environment, environment.mailbox_ssh) if environment.mailbox_ssh else None
    plane = plane_of(environment, overrides.load(), runner)
    try:
        yield replace(plane, only=zone) if zone else plane
    finally:
        if runner is not None:
            runner.close()


def _names(environment: Environment, zone: str | None) -> tuple[str, ...]:
    return replace(plane_of(environment, overrides.none(), None), only=zone).zones


def _served(records: tuple[Record, ...]) -> list[Record]:
    """What can stand in a zone file: not a provider's own inventions such as ALIAS."""
    return [entry for entry in records if entry.is_dns]


def _differences(before: tuple[Record, ...], after: tuple[Record, ...]) -> tuple[list[str], list[str]]:
    old, new = {_line(entry) for entry in before}, {_line(entry) for entry in after}
    return sorted(old - new), sorted(new - old)


def _line(entry: Record) -> str:
    return f"{entry.name} {entry.ttl} {entry.type} {entry.value}"


def _notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        say(f"; {note}", err=True)


def notify(text: str) -> None:
    """Progress, beside what is printed."""
    say(text, err=True)


def print_json(document: Any) -> None:
    """One JSON document."""
    say(json.dumps(document, indent=2, ensure_ascii=False))
