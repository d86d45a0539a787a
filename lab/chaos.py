"""`make chaos`: deploys killed at random moments on the running lab, and whether the next run heals them.

First deploys of a bare mailbox host and edits of `.env` take turns. Each is killed with SIGKILL at a random moment of
the time that such a run takes; the next run must end with success, and the one after it must change nothing. The last
lines are a table; the exit code is 1 when any run was not healed. KILLS sets how many there are (40), SEED repeats a
series.
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
from lab.lifecycle import up
from tailwart.printing import say

_ROOT = Path(__file__).parents[1]
_SERVICES = ("smtp,submissions,submission,imap,imaps", "smtp,submissions,submission,imap,imaps,pop3s,sieve")
_OPERATION = re.compile(r"Starting operation: (.+)")


@dataclass(frozen=True)
class Kill:
    """One killed run and what became of it. ``problem`` is empty when it was healed."""

    kind: str
    after: float
    operation: str
    problem: str

    def row(self, number: int) -> str:
        """A line of the table."""
        return f"{number:>3}  {self.kind:<5}  {self.after:6.1f} s  {self.operation:<58.58}  {self.problem or 'healed'}"


def main() -> int:
    """Kill, heal, and print the table."""
    seed = os.environ.get("SEED") or str(time.time_ns())
    chance = random.Random(seed)  # noqa: S311  # not for secrets: SEED repeats a series
    up()
    say(f"SEED={seed}; a first deploy and an edit, undisturbed:")
    usual = {"first": _seconds("first", 0), "edit": _seconds("edit", 1)}
    say(f"  {usual['first']:.0f} s, {usual['edit']:.0f} s")
    kills: list[Kill] = []
    for number in range(int(os.environ.get("KILLS", "40"))):
        kind = "first" if number % 2 == 0 else "edit"
        kills.append(_kill(kind, chance.uniform(0, usual[kind]), number // 2))
        say(kills[-1].row(number + 1))
    failed = [kill for kill in kills if kill.problem]
    say(f"\n{len(kills) - len(failed)} of {len(kills)} killed runs were healed by the next one")
    return 1 if failed else 0


def _prepare(kind: str, turn: int) -> Path:
    """The `.env` of the run; before a first deploy, the mailbox is bare and its database gone."""
    if kind == "first":
        hosts.recreate("mailbox")
        drop = "su postgres -c \"psql -qc 'DROP DATABASE IF EXISTS stalwart WITH (FORCE)'\""
        hosts.exec("backends", ["sh", "-c", drop])
    path = paths.state() / "chaos.env"
    lines = [line for line in dotenv.path().read_text().splitlines() if not line.startswith("MAIL_SERVICES=")]
    services = _SERVICES[turn % 2 if kind == "edit" else 0]
    paths.write_private(path, "\n".join([*lines, f"MAIL_SERVICES={services}", ""]).encode())
    return path


def _seconds(kind: str, turn: int) -> float:
    path, begun = _prepare(kind, turn), time.monotonic()
    done = subprocess.run(_command(), env=_environment(path), cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"The undisturbed {kind} deploy fails:\n{done.stderr[-3000:]}")
    return time.monotonic() - begun


def _kill(kind: str, after: float, turn: int) -> Kill:
    path, log = _prepare(kind, turn), paths.state() / "chaos.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(), env=_environment(path), cwd=_ROOT, stdout=output, stderr=output, start_new_session=True
        )
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    operations = _OPERATION.findall(log.read_text(errors="replace"))
    return Kill(kind, after, operations[-1].strip() if operations else "before the first operation", _heal(path))


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
