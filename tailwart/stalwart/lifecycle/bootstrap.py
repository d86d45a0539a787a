"""The first start: a random recovery administrator, in the container's environment until a real one is proven.

A normal start with `STALWART_RECOVERY_ADMIN` creates the server's defaults and accepts that login; a start in recovery
mode would not create them (`mx` and `local` routes among them), and mail would never be delivered.
"""

from __future__ import annotations

import secrets

from tailwart.errors import TailwartError
from tailwart.hosts.report import HostReport
from tailwart.hosts.watch import Watch
from tailwart.mailbox import names
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle import notes

_PROBE = "bootstrap credential"


def _correct(directory: str) -> str:
    """A shell command that tells whether the file is correct: empty once initialised, an administrator until then."""
    path = f"{directory}/{names.BOOTSTRAP_ENV}"
    return (
        f"[ -f {path} ] || exit 1; "
        f"if [ -f {directory}/{names.INITIALISED} ]; then ! grep -q . {path}; "
        f"else grep -q '^{names.ENV_RECOVERY_ADMIN}=' {path} && ! grep -q '^{names.ENV_RECOVERY_MODE}=' {path}; fi"
    )


_INITIALISED = f"{names.DIRECTORY}/{names.INITIALISED}"
WATCH = Watch(paths=(_INITIALISED,), probes=((_PROBE, _correct(names.DIRECTORY)),))
"""What `reported` and `initialised` read."""


def initialised(report: HostReport) -> bool:
    """Whether a server has been set up on this host, by a report on `WATCH`."""
    return _INITIALISED in report.paths


def reported(report: HostReport) -> bool:
    """Whether the file is correct, by a report on `WATCH`."""
    probe = report.probes.get(_PROBE)
    return probe is not None and probe.exit_code == 0


def prepared(run: Runner, directory: str = names.DIRECTORY) -> bool:
    """Whether the file is correct now."""
    return run(_correct(directory), timeout=60).ok


def prepare(run: Runner, directory: str = names.DIRECTORY) -> None:
    """Write the correct file; raises TailwartError when the host refuses."""
    initialised = run(f"[ -f {directory}/{names.INITIALISED} ]", timeout=60).ok
    administrator = f"{names.ENV_RECOVERY_ADMIN}=admin:{secrets.token_hex(24)}"
    notes.write(run, names.BOOTSTRAP_ENV, "" if initialised else administrator, directory)


def leave(run: Runner, directory: str = names.DIRECTORY) -> None:
    """Forget the server of a store that is given up; raises TailwartError when the host refuses.

    Its container goes first: from now on nothing is accepted that would end up in that store.
    """
    of_it = " ".join(f"{directory}/{name}" for name in names.OF_THE_SERVER)
    known = f"docker container inspect {names.CONTAINER} >/dev/null 2>&1"
    done = run(f"{{ ! {known} || docker rm --force {names.CONTAINER}; }} && rm -f {of_it}", timeout=180)
    if not done.ok:
        raise TailwartError(
            "the old data store could not be given up",
            seen=done.stderr.strip()[-300:] or "no output",
            remedy="look at `docker ps` and `df -h` on the mailbox host, then run this again",
        )
