"""One job of the backup on the mailbox host: asked for, followed, and its result read.

A job goes on when the connection breaks: systemd runs it. What it is asked for lies in a file of mode 0600 that the job
removes; how it ended is a document with the job's own identity, so that nobody takes an earlier end for it.
"""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from tailwart.backup import names
from tailwart.errors import TailwartError
from tailwart.hosts.files import HostFile
from tailwart.operations.hostfiles import write
from tailwart.runner import Runner

Progress = Callable[[str], None]

_UNITS = {"backup": f"{names.BACKUP}.service", "drill": f"{names.DRILL}.service"}
_SEPARATOR = "-- result --"
_RUNNING = ("pending", "active", "activating", "deactivating", "reloading")
_PATIENCE = 30  # looks, a second each


def perform(run: Runner, kind: str, request: Mapping[str, str], progress: Progress) -> dict[str, Any]:
    """Have the host do a job and wait for its end; `kind` is backup, drill, or a verb of restore.sh.

    Raises `TailwartError` with the job's own reason when it fails, or with the journal's end when it was killed.
    """
    _installed(run)
    unit = _UNITS.get(kind, f"tailwart-{kind}.service")
    _wait_until_idle(run, unit, progress)
    job = secrets.token_hex(8)
    lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in {"job": job, **request}.items() if value)
    write(run, [HostFile(f"{names.DIRECTORY}/{kind}.request", lines, "0600", secret=True)])
    if kind in _UNITS:
        start = f"systemctl reset-failed {unit} 2>/dev/null; systemctl start --no-block {unit}"
    else:
        script = f"/bin/sh {names.DIRECTORY}/restore.sh {kind}"
        start = f"systemctl reset-failed {unit} 2>/dev/null; systemd-run --quiet --collect --unit {unit} {script}"
    started = run(start, timeout=60)
    if not started.ok:
        raise _ended(run, kind, unit, started.stderr.strip())
    return _follow(run, kind, unit, job, progress)


def _follow(run: Runner, kind: str, unit: str, job: str, progress: Progress) -> dict[str, Any]:
    said, pending = "", 0
    path = f"{names.DIRECTORY}/{kind}"
    look = (
        f"sleep 1; state=$(systemctl is-active {unit}); [ ! -f {path}.request ] || state=pending; "
        f"cat {path}.progress 2>/dev/null; echo {_SEPARATOR} $state; cat {path}.result 2>/dev/null; :"
    )
    while True:
        now = run(look, timeout=60).stdout
        stage, _, rest = now.partition(_SEPARATOR)
        state, _, document = rest.partition("\n")
        # Asked for and not begun yet: systemd starts it in a moment.
        pending = pending + 1 if state.strip() == "pending" else 0
        if stage.strip() and stage.strip() != said and not pending:
            said = stage.strip()
            progress(said)
        result = _document(document)
        if result.get("job") == job:
            if not result.get("ok"):
                raise problem(result)
            return result
        if state.strip() not in _RUNNING or pending > _PATIENCE:
            raise _ended(run, kind, unit, said)


def problem(result: Mapping[str, Any]) -> TailwartError:
    """The failure that a job's document tells of."""
    seen, expected, remedy = (str(result.get(name) or "") for name in ("seen", "expected", "remedy"))
    return TailwartError(str(result.get("what") or "the job failed"), seen=seen, expected=expected, remedy=remedy)


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _ended(run: Runner, kind: str, unit: str, said: str) -> TailwartError:
    journal = run(f"journalctl -n 5 -o cat --no-pager --unit {unit}", timeout=60).stdout
    return TailwartError(
        f"the {kind} ended without a result",
        seen="\n".join(filter(None, [said, *journal.strip().splitlines()])) or "nothing in the journal",
        expected=f"{unit} to run to its end",
        remedy=f"look at `journalctl -u {unit}` on the mailbox host, then run it again: what was begun is no set",
    )


def _wait_until_idle(run: Runner, unit: str, progress: Progress) -> None:
    busy = f"case $(systemctl is-active {unit}) in active|activating|deactivating) echo busy ;; esac"
    waited = False
    while run(f"{busy}", timeout=60).stdout.strip() == "busy":
        if not waited:
            progress(f"waiting for the end of {unit}, which runs already")
        waited = True
        run("sleep 2", timeout=30)


def _installed(run: Runner) -> None:
    if run(f"[ -f {names.DIRECTORY}/common.sh ] && command -v restic jq >/dev/null", timeout=60).ok:
        return
    raise TailwartError(
        "the mailbox host is not set up for backups",
        seen=f"no scripts in {names.DIRECTORY}, or no restic",
        expected="what the deploy installs where BACKUP_TARGET is set",
        remedy="set BACKUP_TARGET and BACKUP_PASSWORD in .env, then: pyinfra inventory.py deploy.py --limit mailbox",
    )
