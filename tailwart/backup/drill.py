"""The restore drill: a set in an isolated stack on the mailbox host, compared with its manifest and the live server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tailwart.backup import names
from tailwart.backup.comparison import Compared, Login, compare
from tailwart.backup.job import Progress, perform
from tailwart.backup.target import repository
from tailwart.errors import TailwartError
from tailwart.hosts.files import HostFile
from tailwart.operations.hostfiles import write
from tailwart.runner import Runner

SERVER = "tailwart-drill-stalwart"


def _silent(_: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class Drilled:
    """A drill that passed. `interfaces` are those that the stack had: its loopback alone."""

    name: str
    stalwart: str
    seconds: int
    interfaces: str
    counts: Mapping[str, Any]
    live: Mapping[str, Any]
    accounts: tuple[Compared, ...] = ()

    def document(self) -> dict[str, Any]:
        """The drill as plain values, for `--json`."""
        return asdict(self)


def run(
    host: Runner,
    name: str = "latest",
    *,
    image: str = "",
    to: str = "",
    logins: tuple[Login, ...] = (),
    progress: Progress = _silent,
) -> Drilled:
    """Drill a set; raises `TailwartError` when it does not restore or does not hold what the server had.

    `image` starts another Stalwart on it than the set's own: the rehearsal of an upgrade. With `logins`, mailboxes,
    message counts and a sample of messages are compared with the live server over IMAP.
    """
    request = {"SET": name, "IMAGE": image, "TO": repository(to), "STAY": "yes" if logins else ""}
    done = perform(host, "drill", request, progress)
    compared: tuple[Compared, ...] = ()
    if logins:
        try:
            progress("comparing messages with the live server")
            compared = tuple(compare(host, login, SERVER) for login in logins)
            _record(host, done, compared)
        finally:
            progress("removing the stack")
            host(f"/bin/sh {names.DIRECTORY}/drill.sh down", timeout=120)
    for account in compared:
        if account.problem:
            raise TailwartError(
                f"the drill failed: {account.address} is not in set {done['set']} as it is on the server",
                seen=account.problem,
                expected="every mailbox and every message of before the backup",
                remedy="take a new backup now: tailwart backup",
            )
    return Drilled(
        name=str(done["set"]),
        stalwart=str(done["stalwart"]),
        seconds=int(done["seconds"]),
        interfaces=str(done["interfaces"]),
        counts=dict(done.get("counts") or {}),
        live=dict(done.get("live") or {}),
        accounts=compared,
    )


def _record(host: Runner, done: Mapping[str, Any], compared: tuple[Compared, ...]) -> None:
    """The result for doctor and the status page, with what the accounts showed."""
    failed = [account.problem for account in compared if account.problem]
    document = {**done, "ok": not failed, "accounts": [asdict(account) for account in compared]}
    if failed:
        document["what"], document["seen"] = "the drill failed: messages are missing or differ", failed[0]
    write(host, [HostFile(names.LAST_DRILL, json.dumps(document) + "\n", "0600", secret=True)])
