"""How far a hand-over has come: one file on its host, written before each step that cannot be seen otherwise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from typing import Any

from tailwart.adoption.transfers import Transfer
from tailwart.errors import TailwartError
from tailwart.hosts.files import HostDirectory, HostFile
from tailwart.operations import hostfiles
from tailwart.runner import Runner

DIRECTORY = "/opt/tailwart/adoption"


class Step(IntEnum):
    """What is certain. Each is reached only when everything before it is done."""

    BEGUN = 1
    STOPPED = 2
    FILLED = 3
    SERVING = 4
    ADOPTED = 5


@dataclass(frozen=True, slots=True)
class Old:
    """A container or unit of the old project: what is needed to start it again as it was."""

    name: str
    identifier: str = ""
    restart: str = "no"
    unit: bool = False


@dataclass(frozen=True, slots=True)
class Journal:
    """The hand-over of one host.

    ``old`` are in the order in which they start. ``stopped_at`` is when the old project stopped, by the host's clock;
    ``returning``: the way back was begun, and with ``returned`` everything is where it came from. ``files`` and
    ``directory`` are those of the old Compose project.
    """

    host: str
    step: Step = Step.BEGUN
    old: tuple[Old, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    owner: str = ""
    stopped_at: int = 0
    returning: bool = False
    returned: bool = False
    project: str = ""
    directory: str = ""
    files: tuple[str, ...] = ()
    lacking: tuple[str, ...] = field(default=())

    def at(self, step: Step) -> Journal:
        """The same, one step on."""
        return replace(self, step=step)


def path(host: str) -> str:
    """Where the journal of a host is kept."""
    return f"{DIRECTORY}/{host}.json"


def read(run: Runner, host: str) -> Journal | None:
    """The journal of a host; None where no hand-over was begun. Raises `TailwartError` for one that is damaged."""
    done = run(f"cat {path(host)} 2>/dev/null || :", timeout=60)
    if not done.stdout.strip():
        return None
    try:
        return _journal(json.loads(done.stdout))
    except (ValueError, KeyError, TypeError) as error:
        raise TailwartError(
            f"{path(host)} cannot be read",
            seen=type(error).__name__,
            expected="the notes of a hand-over that was begun",
            remedy="look at `docker ps --all` on the host: the old containers end with -before-tailwart",
        ) from None


def write(run: Runner, journal: Journal) -> None:
    """Replace the file; raises `TailwartError` where the host refuses."""
    text = json.dumps(asdict(journal), indent=2)
    hostfiles.write(run, [HostFile(path(journal.host), f"{text}\n", "0600")], [HostDirectory(DIRECTORY, "0700")])


def forget(run: Runner, journal: Journal) -> None:
    """The hand-over is taken back: nothing of it is left on the host."""
    run(f"rm -f {path(journal.host)}; rmdir {DIRECTORY} 2>/dev/null; rmdir /opt/tailwart 2>/dev/null; :", timeout=60)


def _journal(found: Mapping[str, Any]) -> Journal:
    return Journal(
        host=str(found["host"]),
        step=Step(found["step"]),
        old=tuple(Old(**item) for item in found["old"]),
        transfers=tuple(Transfer(**item) for item in found["transfers"]),
        owner=str(found["owner"]),
        stopped_at=int(found["stopped_at"]),
        returning=bool(found["returning"]),
        returned=bool(found["returned"]),
        project=str(found["project"]),
        directory=str(found["directory"]),
        files=tuple(map(str, found["files"])),
        lacking=tuple(map(str, found["lacking"])),
    )
