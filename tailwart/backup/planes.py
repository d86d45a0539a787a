"""What a backup holds of the planes beside the mailbox: zones, policy, settings, as they are now.

They are read here, with the credentials that no host has, and handed over to the mailbox host; a backup by the timer
holds what was handed over last. A restore does not write them: they are there to be looked at, and for `diff`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from tailwart.backup import names
from tailwart.dns import overrides
from tailwart.dns.plane import plane_of
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.hosts.files import HostDirectory, HostFile
from tailwart.operations.hostfiles import write
from tailwart.operations.remote import HostRunner
from tailwart.stalwart.lifecycle.assembly import server
from tailwart.stalwart.mailbox_host import declared
from tailwart.stalwart.settings.export import plan_lines
from tailwart.tailnet import session


def _silent(_: str) -> None:
    return


def hand_over(run: HostRunner, environment: Environment) -> list[str]:
    """Read every plane there is and write it to the mailbox host; returns what could not be read."""
    files, notes = [], []
    for what, read in (("policy", _policy), ("zones", _zones), ("settings", _settings)):
        try:
            files += [
                HostFile(f"{names.PLANES}/{name}", text, "0600", secret=True) for name, text in read(run, environment)
            ]
        except TailwartError as problem:
            notes.append(f"the backup holds no new copy of the {what}: {problem.what}")
    if files:
        write(run, files, (HostDirectory(names.PLANES, "0700"),))
    return notes


def _policy(run: HostRunner, environment: Environment) -> Iterator[tuple[str, str]]:
    del run
    if session.has_credential(environment):
        yield "policy.hujson", session.client(environment).read().text


def _zones(run: HostRunner, environment: Environment) -> Iterator[tuple[str, str]]:
    if environment.dns_provider == "none":
        return
    plane = plane_of(environment, overrides.none(), run)
    provider = plane.open_provider(_silent)
    for zone in plane.zones:
        records = [asdict(record) for record in sorted(provider.read(zone))]
        yield f"{zone}.json", json.dumps({"version": 1, "zone": zone, "records": records}, indent=1) + "\n"


def _settings(run: HostRunner, environment: Environment) -> Iterator[tuple[str, str]]:
    live = server(run, run.host, environment, declared(environment), _silent).observe(everything=True).live
    if live is not None:
        yield "settings.ndjson", "".join(f"{line}\n" for line in plan_lines(live))
