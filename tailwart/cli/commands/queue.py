"""The commands of `tailwart queue`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import click

from tailwart.environment import load
from tailwart.errors import TailwartError
from tailwart.printing import duration, say
from tailwart.stalwart.accounts import queued
from tailwart.stalwart.accounts.queued import Queued
from tailwart.stalwart.mailbox_host import mailbox_host
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, stored_login


@contextmanager
def _client() -> Iterator[Client]:
    with mailbox_host(load().environment) as run:
        yield Client(ContainerTransport(run, stored_login()))


def list_all(search: str, *, as_json: bool) -> None:
    """Print the queue."""
    with _client() as client:
        length, found = queued.find(client, text=search)
    if as_json:
        say(json.dumps({"length": length, "messages": [item.document() for item in found]}, indent=2))
        return
    now = datetime.now(UTC)
    for message in found:
        waits = duration(message.waits(now))
        say(f"{message.identifier}  from {message.sender}, {message.size} bytes, waits for {waits}")
        for item in message.recipients:
            tried = f"{item.tries} tries, next {item.due}" if item.tries else "not tried yet"
            say(f"    to {item.address}: {tried}" + (f": {item.answer}" if item.answer else ""))
    if len(found) < length:
        say(f"… and {length - len(found)} more")
    waiting = f"{length} messages wait" if length != 1 else "1 message waits"
    say(f"{waiting}. Next: tailwart queue retry --all" if length else "Nothing waits.")


def retry(identifiers: Sequence[str], domain: str | None, *, everything: bool, as_json: bool) -> None:
    """Have the chosen messages tried at once."""
    with _client() as client:
        done = queued.retry(client, _chosen(client, identifiers, domain, everything=everything))
    _done(done, "are tried now", as_json)


def cancel(identifiers: Sequence[str], domain: str | None, *, everything: bool, yes: bool, as_json: bool) -> None:
    """Ask unless ``yes``, and drop the chosen messages."""
    with _client() as client:
        messages = _chosen(client, identifiers, domain, everything=everything)
        if messages and not yes:
            if as_json or not sys.stdin.isatty():
                raise TailwartError("nothing was cancelled", seen="no terminal to ask at", remedy="add --yes")
            for item in messages:
                say(f"{item.identifier}  from {item.sender} to {', '.join(each.address for each in item.recipients)}")
            click.confirm("Drop these messages? Their senders are not told.", abort=True)
        done = queued.cancel(client, messages)
    _done(done, "are dropped", as_json)


def _chosen(client: Client, identifiers: Sequence[str], domain: str | None, *, everything: bool) -> list[Queued]:
    if sum((bool(identifiers), domain is not None, everything)) != 1:
        raise TailwartError(
            "which messages?",
            expected="ids, or --to DOMAIN, or --all",
            remedy="tailwart queue list shows the ids",
        )
    length, found = queued.find(client)
    if identifiers:
        return queued.chosen(found, identifiers)
    if len(found) < length:
        say(f"Of {length} messages the first {len(found)} are taken; run this again for the rest.", err=True)
    wanted = (domain or "").lower().lstrip("@")
    return [item for item in found if everything or any(each.domain.lower() == wanted for each in item.recipients)]


def _done(count: int, what: str, as_json: bool) -> None:
    say(json.dumps({"messages": count}) if as_json else f"{count} messages {what}. Next: tailwart queue list")
