"""The command `tailwart trace`."""

from __future__ import annotations

import json
import sys

from tailwart.environment import load
from tailwart.errors import TailwartError
from tailwart.printing import say
from tailwart.runner import Completed
from tailwart.stalwart.accounts import tracing
from tailwart.stalwart.accounts.tracing import Step, Trace
from tailwart.stalwart.mailbox_host import mailbox_host

_LOG_SECONDS = 120
_SHOWN = ("remoteIp", "from", "to", "hostname", "code", "details", "reason", "messageId", "nextRetry")


def trace(term: str, since: str, *, as_json: bool) -> None:
    """Print the messages that the log has for ``term``; exits with 1 when there is none."""
    wanted, back = tracing.check_term(term), tracing.check_since(since)
    with mailbox_host(load().environment) as run:
        if not run("docker inspect stalwart >/dev/null 2>&1", timeout=30).ok:
            raise TailwartError(
                "there is no server whose log could be read",
                seen="no container `stalwart` on the mailbox host",
                remedy="pyinfra inventory.py deploy.py --limit mailbox",
            )
        mentioned = _lines(run(tracing.finding(back), stdin=f"{wanted}\n", timeout=_LOG_SECONDS))
        found = [int(wanted)] if wanted.isdecimal() else tracing.queue_ids(mentioned, wanted)
        lines = mentioned
        # The first look finds the session that brought a message, the second what that session did before.
        for _ in range(2 if found else 0):
            texts = "\n".join(tracing.wanted(found, lines))
            lines = _lines(run(tracing.following(back), stdin=f"{texts}\n", timeout=_LOG_SECONDS))
    traces = [item for item in tracing.traces(found, lines) if item.steps]
    if as_json:
        say(json.dumps([item.document() for item in traces], indent=2, ensure_ascii=False))
    else:
        for item in traces:
            _show(item)
        say(_last(traces, term, since))
    sys.exit(0 if traces else 1)


def _lines(done: Completed) -> list[str]:
    return done.stdout.splitlines()


def _show(item: Trace) -> None:
    say(f"{item.number}: {item.outcome}")
    for step in item.steps:
        say(f"  {step.at}  {step.title}{_details(step)}")
    say("")


def _details(step: Step) -> str:
    shown = [f"{name} {step.fields[name]}" for name in _SHOWN if step.fields.get(name)]
    return f": {', '.join(shown)}" if shown else ""


def _last(traces: list[Trace], term: str, since: str) -> str:
    if not traces:
        return f"The log of the last {since} has no message of {term}. A restart of the container begins a new log."
    waiting = [item for item in traces if item.outcome == "waits"]
    said = f"{len(traces)} messages, {len(waiting)} of them wait."
    return f"{said} Next: tailwart queue list" if waiting else said
