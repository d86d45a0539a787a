"""`make chaos-backup`: backups killed at random moments on the running lab, and whether a set is whole or not listed.

Each backup is killed with SIGKILL, with everything that it has started, at a random moment of the time that one takes.
Afterwards every set that is listed must verify and the live server must be healthy; the last backup runs undisturbed.
Each kill is a line of a table; the exit code is 1 when anything was harmed. KILLS sets how many there are (50), SEED
repeats a series.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import subprocess
import sys
import time
from pathlib import Path

from lab import dotenv, hosts, paths
from lab.lifecycle import up
from tailwart.backup.names import BACKUP, DIRECTORY
from tailwart.printing import say

_ROOT = Path(__file__).parents[1]
_TARGET = "/srv/backup-chaos"
_KILL = f"""
systemctl start --no-block {BACKUP}.service; sleep @SECONDS@
systemctl kill --kill-whom=all --signal=KILL {BACKUP}.service 2>/dev/null
while case $(systemctl is-active {BACKUP}.service) in active|activating|deactivating) ;; *) false ;; esac; do
  sleep 0.1
done
systemctl reset-failed {BACKUP}.service 2>/dev/null
cat {DIRECTORY}/backup.progress
"""
_HEALTHY = """
i=0; until [ "$(docker inspect --format '{{.State.Health.Status}}' stalwart)" = healthy ]; do
  sleep 1; i=$((i+1)); [ $i -lt 60 ] || exit 1
done
"""


def main() -> int:
    """Kill, verify, and print the table."""
    seed = os.environ.get("SEED") or str(time.time_ns())
    chance = random.Random(seed)  # noqa: S311  # not for secrets: SEED repeats a series
    up()
    path = _prepare()
    begun = time.monotonic()
    _run(path, "backup")
    usual = time.monotonic() - begun
    say(f"SEED={seed}; one backup, undisturbed: {usual:.0f} s")
    harmed, known = 0, len(_sets(path))
    for number in range(int(os.environ.get("KILLS", "50"))):
        after = chance.uniform(0, usual)
        stage = _shell(_KILL.replace("@SECONDS@", f"{after:.2f}")).strip()
        found = _sets(path)
        # One that was complete before the kill is a set; every one that is new is read back whole.
        problem = "" if hosts.exec("mailbox", ["sh", "-c", _HEALTHY], check=False).returncode == 0 else "NOT HEALTHY"
        for name in found[known:]:
            problem += _verified(path, name)
        known = len(found)
        harmed += bool(problem)
        say(f"{number + 1:>3}  {after:6.2f} s  {stage:<50.50}  {len(found)} sets  {problem or 'whole'}")
    _run(path, "backup")
    say(f"\n{harmed} of the killed backups harmed anything; the next one has succeeded")
    return 1 if harmed else 0


def _prepare() -> Path:
    path = paths.state() / "chaos-backup.env"
    values = {"BACKUP_TARGET": _TARGET, "BACKUP_PASSWORD": secrets.token_hex(16), "BACKUP_KEEP": "last=200"}
    lines = [dotenv.path().read_text(), *(f"{key}={value}\n" for key, value in values.items())]
    paths.write_private(path, "".join(lines).encode())
    _shell(f"rm -rf {_TARGET} {DIRECTORY}")
    command = [str(Path(sys.executable).parent / "pyinfra"), "-y", "inventory.py", "deploy.py"]
    done = subprocess.run(command, env=_environment(path), cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"The deploy fails:\n{done.stderr[-3000:]}")
    return path


def _sets(path: Path) -> list[str]:
    return [str(item["name"]) for item in json.loads(_run(path, "backup", "list", "--json"))]


def _verified(path: Path, name: str) -> str:
    done = _command(path, "backup", "verify", name)
    return "" if done.returncode == 0 else f" NOT WHOLE: {done.stderr.strip().splitlines()[-1]}"


def _run(path: Path, *words: str) -> str:
    done = _command(path, *words)
    if done.returncode:
        sys.exit(f"tailwart {' '.join(words)} fails:\n{done.stderr[-3000:]}")
    return done.stdout


def _command(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("tailwart")), *words]
    return subprocess.run(command, env=_environment(path), cwd=_ROOT, capture_output=True, text=True, check=False)


def _environment(path: Path) -> dict[str, str]:
    return {**os.environ, "TAILWART_ENV": str(path), "PYINFRA_PROGRESS": "off"}


def _shell(script: str) -> str:
    return hosts.exec("mailbox", ["sh", "-c", script], timeout=300).stdout.decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
