"""`make demo`: the whole system on this machine, step by step, in the commands that a user would type."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from lab import dotenv, paths, report
from tailwart.environment import load
from tailwart.errors import TailwartError
from tailwart.printing import say, style

_BIN = Path(sys.executable).parent


def main() -> int:
    """Deploy to the running lab, mail in, mail out, verify; the exit code is that of the first step that failed."""
    started = time.monotonic()
    environment_path = dotenv.path()
    environment = load(environment_path).environment
    domain, user = environment.domain, environment.accounts[0].name
    page = paths.state() / "status.html"
    steps = (
        ("Deploy: tailnet policy, stores, mailbox, edge, DNS", ["pyinfra", "-y", "inventory.py", "deploy.py"]),
        ("A mail in: from the outside, through the edge", ["tailwart", "lab", "send", "--to", f"{user}@{domain}"]),
        ("Read it from the outside, through the edge", ["tailwart", "lab", "fetch", "--headers", "received"]),
        (
            "A mail out: submitted through the edge, to the outside",
            ["tailwart", "lab", "send", "--from", f"{user}@{domain}"],
        ),
        ("Verify the installation", ["pytest", "-q", "tests/verify"]),
        ("Every check at once, and the status page", ["tailwart", "doctor", "--html", str(page)]),
    )
    for number, (title, command) in enumerate(steps, 1):
        say(style(f"\n[{number}/{len(steps)}] {title}", bold=True))
        say(f"$ {shlex.join(command)}")
        code = _run(command, environment_path)
        if code:
            say(style(f"\nStep {number} failed: {title}", fg="red"), err=True)
            say(f"Run it again alone: TAILWART_ENV={environment_path} {shlex.join(command)}", err=True)
            return code
    say(style(f"\nThe system is up and verified, {time.monotonic() - started:.0f} s after the lab.", fg="green"))
    say(f"Stalwart: {report.stalwart()}")
    say(_NEXT.format(environment=environment_path, user=f"{user}@{domain}"))
    return 0


def _run(command: list[str], environment_path: Path) -> int:
    # Line by line as it happens: a deploy of a minute must not seem to hang.
    sys.stdout.flush()
    return subprocess.run(
        [str(_BIN / command[0]), *command[1:]],
        cwd=paths.PROJECT,
        env={**os.environ, "TAILWART_ENV": str(environment_path)},
        check=False,
    ).returncode


_NEXT = """
Try next:
  . .venv/bin/activate; export TAILWART_ENV={environment}
  pyinfra -y inventory.py deploy.py        # again: changes nothing
  pyinfra inventory.py deploy.py --dry --diff --limit tailnet
  tailwart lab ssh mailbox docker ps       # the two containers
  tailwart tailnet plan; tailwart settings plan; tailwart dns plan
  tailwart lab send --to {user}
  make down                                # removes all of it"""

if __name__ == "__main__":
    try:
        sys.exit(main())
    except TailwartError as problem:
        sys.exit(f"Error: {problem}")
