"""Taking a backup, and the sets that there are: each is complete, or it is not listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tailwart.backup.job import Progress, perform
from tailwart.backup.target import repository
from tailwart.errors import TailwartError
from tailwart.runner import Runner


def _silent(_: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class BackupSet:
    """A complete set. `name` is the time at which it was begun, as `restore` takes it; times are UTC, sizes bytes.

    `counts` are of the server at that time: rows by table, objects by kind, message bodies.
    """

    name: str
    started: str
    ended: str = ""
    store: str = ""
    stalwart: str = ""
    bytes: int = 0
    pause_seconds: float = 0.0
    counts: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The set as plain values, for `--json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup that was just taken: the set's name, its bytes, those of them that were new to the target, seconds."""

    name: str
    target: str
    bytes: int
    added: int
    seconds: int
    pause_seconds: float
    counts: Mapping[str, Any]
    retention_problem: str = ""

    def document(self) -> dict[str, Any]:
        """The backup as plain values, for `--json`."""
        return asdict(self)


def take(run: Runner, *, to: str = "", export: bool = False, progress: Progress = _silent) -> Taken:
    """Have the mailbox host take a backup now, to BACKUP_TARGET or to another target; the timer's own unit does it.

    With ``export``, the set also holds what the server itself exports; a restore does not use it. Raises
    `TailwartError` with the reason when there is no complete set at the end.
    """
    done = perform(run, "backup", {"TO": repository(to), "EXPORT": "yes" if export else ""}, progress)
    return Taken(
        name=str(done["set"]),
        target=str(done["target"]),
        bytes=int(done["bytes"]),
        added=int(done["added"]),
        seconds=int(done["seconds"]),
        pause_seconds=float(done["pause_seconds"]),
        counts=dict(done.get("counts") or {}),
        retention_problem=str(done.get("retention_problem") or ""),
    )


def sets(run: Runner, *, to: str = "", progress: Progress = _silent) -> list[BackupSet]:
    """The complete sets, the oldest first. Raises `TailwartError` when the target does not answer."""
    return [_set(item) for item in perform(run, "list", {"TO": repository(to)}, progress).get("sets") or ()]


def newest(run: Runner, *, to: str = "") -> BackupSet:
    """The newest complete set; raises `TailwartError` when there is none."""
    found = sets(run, to=to)
    if not found:
        raise TailwartError("there is no backup yet", expected="a complete set", remedy="tailwart backup")
    return found[-1]


def verify(run: Runner, name: str, *, to: str = "", progress: Progress = _silent) -> BackupSet:
    """Read a set back whole, compare every part with its manifest, and check the repository.

    `name` may be "latest". Raises `TailwartError` naming what is missing or altered.
    """
    return _set(perform(run, "verify", {"SET": name, "TO": repository(to)}, progress))


def prune(run: Runner, *, to: str = "", progress: Progress = _silent) -> None:
    """Remove the sets that BACKUP_KEEP does not keep, and what no other needs."""
    perform(run, "prune", {"TO": repository(to)}, progress)


def _set(item: Mapping[str, Any]) -> BackupSet:
    return BackupSet(
        name=str(item["set"]),
        started=str(item.get("started") or ""),
        ended=str(item.get("ended") or ""),
        store=str(item.get("store") or ""),
        stalwart=str(item.get("stalwart") or ""),
        bytes=int(item.get("bytes") or 0),
        pause_seconds=float(item.get("pause_seconds") or 0),
        counts=dict(item.get("counts") or {}),
    )
