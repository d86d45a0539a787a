"""The facts of one host by one command over its connection."""

from __future__ import annotations

from datetime import UTC, datetime

from tailwart.errors import TailwartError
from tailwart.hosts.report import HostReport, ReportError, parse
from tailwart.hosts.watch import Watch, script
from tailwart.runner import Runner

PATIENCE = 60.0


def report(run: Runner, watch: Watch) -> tuple[HostReport, datetime, datetime]:
    """The host's answer, and the times of this machine before and after the question."""
    # Opened before the clock is read: a slow key exchange says nothing about the host's clock.
    run("true", timeout=20)
    asked = datetime.now(UTC)
    done = run(script(watch), timeout=PATIENCE)
    answered = datetime.now(UTC)
    try:
        return parse(done.stdout.splitlines()), asked, answered
    except ReportError as problem:
        raise TailwartError(
            "the host's answer is incomplete",
            seen="\n".join([str(problem), *done.stderr.strip().splitlines()[-2:]]),
            expected="root's rights, a POSIX shell and coreutils",
            remedy="log in on the host and look at its load and disk space",
        ) from None
