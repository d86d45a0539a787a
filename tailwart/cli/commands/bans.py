"""The commands of `tailwart bans`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tailwart.environment import load
from tailwart.errors import TailwartError
from tailwart.printing import say
from tailwart.stalwart.accounts.bans import banned, lift, matching, parse_address
from tailwart.stalwart.mailbox_host import mailbox_host
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, stored_login


@contextmanager
def _client() -> Iterator[Client]:
    with mailbox_host(load().environment) as run:
        yield Client(ContainerTransport(run, stored_login()))


def list_all(*, as_json: bool) -> None:
    """Print every ban."""
    with _client() as client:
        found = banned(client)
    if as_json:
        say(json.dumps([item.document() for item in found], indent=2))
        return
    for item in found:
        say(f"{item.address:<40} {item.reason:<10} since {item.since or '?'}, until {item.until or 'lifted'}")
    say(f"{len(found)} bans. Next: tailwart bans lift ADDRESS" if found else "No address is banned.")


def lift_bans(address: str | None, *, everything: bool, as_json: bool) -> None:
    """Lift one ban, or all. Raises TailwartError for a word that is no address, and for neither or both of the two."""
    if bool(address) == everything:
        raise TailwartError(
            "which ban is to be lifted?",
            expected="one address, or --all",
            remedy="tailwart bans lift ADDRESS, or tailwart bans lift --all",
        )
    wanted = parse_address(address) if address else None
    with _client() as client:
        found = banned(client)
        lifted = found if wanted is None else matching(found, wanted)
        forgotten = lift(client, lifted, lambda: time.sleep(0.5))
    names = [item.address for item in lifted]
    if as_json:
        say(json.dumps({"lifted": names, "still_banned": len(found) - len(lifted), "counts_reset": forgotten}))
        return
    said = f"Lifted: {', '.join(names)}." if names else f"{address or 'No address'} is not banned."
    counted = "are forgotten" if forgotten else "will be forgotten by a task that the server has not run yet"
    say(f"{said} Counted failures {counted}. {len(found) - len(lifted)} bans are left.")
