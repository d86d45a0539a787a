"""The command `tailwart dns check`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable

from tailwart.cli.commands.dns import notify, opened_plane, print_json
from tailwart.dns.check import run as checks
from tailwart.dns.check.blocklists import KNOWN, Blocklist, chosen
from tailwart.dns.check.findings import Finding, State, exit_code, render, to_json
from tailwart.environment import load
from tailwart.errors import TailwartError
from tailwart.printing import say

_PAUSE = 10.0
"""Seconds between two looks: resolvers count who asks often."""


def check(
    zone: str | None,
    resolvers: tuple[str, ...],
    parents: tuple[str, ...],
    blocklists: tuple[Blocklist, ...],
    *,
    wait: int | None,
    as_json: bool,
) -> None:
    """Print the verdict and one finding per check; exits with 1 or 2 as `findings.exit_code` says."""
    try:
        environment = load().environment
        with opened_plane(environment, zone) as plane:
            provider = plane.open_provider(notify) if environment.dns_provider != "none" else None
            prepared = checks.prepare(plane, provider, checks.Asked(resolvers, parents, blocklists))
            if wait:
                until_seen(lambda: checks.propagation(prepared), wait)
            found = checks.check(prepared)
    except TailwartError as error:
        if as_json:
            print_json({"verdict": "not known", "failed": False, "error": str(error), "findings": []})
        else:
            say(f"NOT KNOWN: the check could not begin\n{error}", err=True)
        sys.exit(2)
    if as_json:
        print_json(to_json(found))
    else:
        say(render(found, colour=sys.stdout.isatty()))
    if code := exit_code(found):
        sys.exit(code)


def until_seen(
    look: Callable[[], list[Finding]],
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Look again until nothing is wrong any more, ``seconds`` at most; whether it came to that."""
    begin = clock()
    while behind := [finding for finding in look() if finding.state is State.WRONG]:
        passed = clock() - begin
        if passed >= seconds:
            notify(f"not seen everywhere after {seconds:.0f} s: going on with the check")
            return False
        notify(f"waiting, {passed:.0f} of {seconds:.0f} s: {_shown(behind)}")
        pause(min(_PAUSE, seconds - passed))
    return True


def chosen_blocklists(zones: tuple[str, ...], *, every: bool) -> tuple[Blocklist, ...]:
    """The blocklists to ask: those that are named, all known ones with ``every``, else none."""
    return chosen(zones) if zones else KNOWN if every else ()


def _shown(findings: Iterable[Finding]) -> str:
    first, *rest = [f"{finding.subject} {finding.detail}" for finding in findings]
    return first[:140] + (f" (and {len(rest)} more)" if rest else "")
