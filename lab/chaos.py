"""`make chaos`: deploys killed at random moments on the running lab, and whether the next run heals them.

First deploys and edits of `.env` take turns. Every other first deploy meets a bare host and installs the container
engine too; the rest keep the engine, so that as many kills fall into what comes after the packages. An edit changes
services, a container's limit, the container network and what the edges serve, all at once. Each is killed with SIGKILL
at a random moment of the time that such a run takes; the next run must end with success, and the one after it must
change nothing. Each kill is a line of a table; the exit code is 1 when any run was not healed. KILLS sets how many
there are (40), SEED repeats a series.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from lab import dotenv, hosts, paths
from lab.emptying import drop_database, remove_mailbox
from lab.lifecycle import up
from tailwart.printing import say

_ROOT = Path(__file__).parents[1]
_KINDS = ("bare", "edit", "first", "edit")
_EDIT = {
    "MAIL_SERVICES": "smtp,submissions,submission,imap,imaps,pop3s,sieve",
    "STALWART_MEMORY": "1G",
    "MAILBOX_ULA": "fd5e:2f1c:77aa::/64",
    "JMAP_VHOST": "true",
}
_OPERATION = re.compile(r"Starting operation: (.+)")


@dataclass(frozen=True)
class Kill:
    """One killed run and what became of it. ``problem`` is empty when it was healed."""

    kind: str
    after: float
    operation: str
    problem: str
    seconds: float

    def row(self, number: int) -> str:
        """A line of the table."""
        return f"{number:>3}  {self.kind:<5}  {self.after:6.1f} s  {self.operation:<58.58}  {self.outcome}"

    @property
    def outcome(self) -> str:
        """What the next runs made of it."""
        return self.problem or f"healed in {self.seconds:.0f} s"


def main() -> int:
    """Kill, heal, and print the table."""
    seed = os.environ.get("SEED") or str(time.time_ns())
    chance = random.Random(seed)  # noqa: S311  # not for secrets: SEED repeats a series
    up()
    say(f"SEED={seed}; one run of each kind, undisturbed:")
    usual = {kind: _seconds(kind) for kind in ("bare", "first", "edit")}
    say("  " + ", ".join(f"{kind} {seconds:.0f} s" for kind, seconds in usual.items()))
    kills: list[Kill] = []
    for number in range(int(os.environ.get("KILLS", "40"))):
        kind = _KINDS[number % len(_KINDS)]
        kills.append(_kill(kind, chance.uniform(0, usual[kind])))
        say(kills[-1].row(number + 1))
    failed = [kill for kill in kills if kill.problem]
    say(f"\n{len(kills) - len(failed)} of {len(kills)} killed runs were healed by the next one")
    return 1 if failed else 0


def _prepare(kind: str) -> Path:
    """The `.env` of the run; before a first deploy, the mailbox is bare or has its engine alone, and no database."""
    if kind == "bare":
        hosts.recreate("mailbox")
    elif kind == "first":
        remove_mailbox()
    if kind != "edit":
        drop_database()
    path, changes = paths.state() / "chaos.env", _EDIT if kind == "edit" else {}
    lines = [line for line in dotenv.path().read_text().splitlines() if line.partition("=")[0] not in changes]
    paths.write_private(path, "\n".join([*lines, *(f"{key}={value}" for key, value in changes.items()), ""]).encode())
    return path


def _seconds(kind: str) -> float:
    path, begun = _prepare(kind), time.monotonic()
    done = subprocess.run(_command(), env=_environment(path), cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"The undisturbed {kind} deploy fails:\n{done.stderr[-3000:]}")
    return time.monotonic() - begun


def _kill(kind: str, after: float) -> Kill:
    path, log = _prepare(kind), paths.state() / "chaos.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(), env=_environment(path), cwd=_ROOT, stdout=output, stderr=output, start_new_session=True
        )
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    operations, begun = _OPERATION.findall(log.read_text(errors="replace")), time.monotonic()
    last = operations[-1].strip() if operations else "before the first operation"
    return Kill(kind, after, last, _heal(path), time.monotonic() - begun)


def _heal(path: Path) -> str:
    """What is wrong after the next run and the one after it; empty when nothing is."""
    healing = subprocess.run(
        _command("--json"), env=_environment(path), cwd=_ROOT, capture_output=True, text=True, check=False
    )
    if healing.returncode:
        return "NOT HEALED: " + " | ".join(healing.stderr.strip().splitlines()[-8:])
    again = subprocess.run(
        _command("--json"), env=_environment(path), cwd=_ROOT, capture_output=True, text=True, check=False
    )
    if again.returncode:
        return "NOT HEALED: the third run fails: " + " | ".join(again.stderr.strip().splitlines()[-8:])
    changed = [item["name"] for item in json.loads(again.stdout)["results"]["operations"] if item["success"]]
    return f"NOT HEALED: the third run changed {', '.join(changed)}" if changed else ""


def _command(*options: str) -> list[str]:
    return [str(Path(sys.executable).parent / "pyinfra"), "-y", *options, "inventory.py", "deploy.py"]


def _environment(path: Path) -> dict[str, str]:
    return {**os.environ, "TAILWART_ENV": str(path), "PYINFRA_PROGRESS": "off"}


if __name__ == "__main__":
    sys.exit(main())
