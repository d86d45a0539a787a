"""The command `tailwart doctor`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tailwart.checks import doctor, history, message, operations, page, prometheus, terminal
from tailwart.checks.history import Look
from tailwart.checks.public import book
from tailwart.checks.public.book import PUBLIC
from tailwart.dns.check.findings import to_json
from tailwart.environment import Environment, load
from tailwart.errors import TailwartError
from tailwart.network import STATUS_PORT
from tailwart.printing import say
from tailwart.stalwart.mailbox_host import mailbox_host


def show_catalogue(*, as_json: bool) -> None:
    """Print every check with its title."""
    checks = (*doctor.catalogue(), *PUBLIC.checks(), *message.MESSAGE.checks())
    if as_json:
        found = [
            {"id": item.id, "title": item.title, "severity": item.severity.value, "deep": item.deep} for item in checks
        ]
        say(json.dumps(found, indent=2))
        return
    width = max(len(item.id) for item in checks)
    for item in checks:
        say(
            f"{item.id:<{width}}  {item.title}"
            + (" (--deep)" if item.deep else f" (--{item.plane})" if item.plane in ("public", "message") else "")
        )
    say(f"{len(checks)} checks, and those of `tailwart dns check` as zone.…. Next: tailwart doctor --only ID")


def look(
    only: tuple[str, ...],
    *,
    deep: bool,
    everything: bool,
    as_json: bool,
    html: Path | None,
    publish: bool,
    prometheus: Path | None,
) -> None:
    """Look, print, write the files that are asked for, and exit with the outcome's code."""
    if publish and (only or deep):
        raise TailwartError(
            "only the usual whole run is published",
            seen="--publish beside --only or --deep",
            remedy="tailwart doctor --publish",
        )
    environment = load().environment
    notify = (lambda text: say(text, err=True)) if sys.stderr.isatty() else (lambda _: None)
    outcome = doctor.doctor(environment, only, notify, deep=deep)
    # Only a whole look can be compared with the ones before.
    looks = [] if only or deep else _kept(environment, outcome)
    if as_json:
        say(json.dumps(outcome.document(), indent=2, ensure_ascii=False))
    else:
        say(terminal.render(outcome, colour=sys.stdout.isatty(), everything=everything))
        for change in history.changes(before, looks[-1]) if (before := history.previous(looks)) else []:
            say(f"Since the last look: {change.name} was {change.before}, now {change.now}")
    if html is not None:
        _write(html, page.render(outcome, environment, looks), as_json)
    if publish:
        _publish(environment, page.render(outcome, environment, looks, served=True), as_json)
    if prometheus is not None:
        _export(prometheus, outcome, environment, as_json)
    sys.exit(outcome.exit_code)


def look_from_outside(only: tuple[str, ...], resolvers: tuple[str, ...], *, as_json: bool) -> None:
    """Look as a stranger does, print the table, and exit with the outcome's code."""
    environment = load().environment
    chosen = doctor.chooser(only, among=PUBLIC.checks())
    outcome, findings = book.doctor(environment, chosen, resolvers)
    if as_json:
        say(json.dumps(outcome.document() | {"seen": to_json(findings)["findings"]}, indent=2, ensure_ascii=False))
    else:
        say(terminal.table(outcome, findings, book.areas_of))
    sys.exit(outcome.exit_code)


def look_at_message(file: Path, only: tuple[str, ...], *, as_json: bool) -> None:
    """Judge a message as its receiver has it, and exit with the outcome's code."""
    environment = load().environment
    chosen = doctor.chooser(only, among=message.MESSAGE.checks())
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise TailwartError(
            f"{file} cannot be read", seen=error.strerror or "", remedy="save the message as its receiver has it"
        ) from None
    outcome = message.judge(environment, raw, chosen)
    say(
        json.dumps(outcome.document(), indent=2, ensure_ascii=False)
        if as_json
        else terminal.render(outcome, colour=sys.stdout.isatty(), everything=True)
    )
    sys.exit(outcome.exit_code)


def _kept(environment: Environment, outcome: doctor.Outcome) -> list[Look]:
    file = history.path(environment.domain)
    try:
        return history.add(file, outcome)
    except OSError as error:
        say(f"The history is not kept: {file}: {error.strerror}", err=True)
        return [*history.read(file), history.of(outcome)]


def _publish(environment: Environment, html: str, quiet: bool) -> None:
    with mailbox_host(environment, changes=True) as run:
        operations.publish(run, html)
    if not quiet:
        say(f"Published: http://{environment.magic_host}:{STATUS_PORT}/ (for TS_ADMIN_SRC)")


def _export(file: Path, outcome: doctor.Outcome, environment: Environment, quiet: bool) -> None:
    _write(file, prometheus.render(outcome, environment.domain), quiet)


def _write(file: Path, text: str, quiet: bool) -> None:
    try:
        prometheus.write(file, text)
    except OSError as error:
        raise TailwartError(
            f"{file} cannot be written", seen=error.strerror or "", remedy="name a file in a directory of yours"
        ) from None
    if not quiet:
        say(f"Written: {file}")
