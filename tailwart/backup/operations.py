"""The backup on the mailbox host, as pyinfra operations and as functions for a host that no deploy has met yet."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

from pyinfra.api.command import FunctionCommand
from pyinfra.context import ctx_host

from tailwart.backup import names
from tailwart.backup.files import PROBE, Backup, missing_packages, off
from tailwart.errors import TailwartError
from tailwart.facts.host import observe
from tailwart.hosts.packages import SETTLE
from tailwart.hosts.watch import Watch
from tailwart.operations import hostfiles
from tailwart.operations.guard import operation
from tailwart.operations.progress import announce
from tailwart.operations.remote import command
from tailwart.runner import Runner

# The drill has a server of its own; Debian's package would start one beside it, on a host without any.
_NO_CLUSTER = """
if ! command -v pg_lsclusters >/dev/null; then
  mkdir -p /etc/postgresql-common/createcluster.d
  echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/tailwart.conf
fi
"""


@operation()
def install(backup: Backup, watch: Watch) -> Generator[FunctionCommand, None, None]:
    """The packages that the backup's scripts call are installed."""
    host = ctx_host.get()
    probe = observe(host, watch).probes.get(PROBE)
    missing = missing_packages(probe.output) if probe else list(backup.packages)
    if not missing:
        host.noop("the programs of the backup are installed")
        return
    announce(host, f"{', '.join(missing)} to be installed")
    yield command(host, partial(provide, packages=backup.packages), "install the programs of the backup")


def provide(run: Runner, packages: tuple[str, ...]) -> None:
    """Install what is missing; raises `TailwartError` with apt's words."""
    script = f"{SETTLE}\n{_NO_CLUSTER}\napt update && apt --no-install-recommends install {' '.join(packages)}"
    result = run(script, timeout=1800)
    if not result.ok:
        raise TailwartError(
            "the programs of the backup could not be installed",
            seen="\n".join(result.stderr.strip().splitlines()[-6:]),
            expected=f"Debian's packages {', '.join(packages)}",
            remedy="look at /etc/apt/sources.list.d and at the host's network, then run again",
        )


def prepare(run: Runner, backup: Backup) -> None:
    """Programs, files and scripts, without the timers: what a bare host needs before a set can be fetched."""
    provide(run, backup.packages)
    scripts = [file for unit in backup.units for file in unit.files if file.path.startswith(names.DIRECTORY)]
    hostfiles.write(run, [*backup.files, *scripts], backup.directories)


@operation()
def remove_timers(watch: Watch) -> Generator[FunctionCommand, None, None]:
    """Without BACKUP_TARGET, no timer of an earlier one goes on. What was backed up stays where it is."""
    host = ctx_host.get()
    paths = observe(host, watch).paths
    left = [path for path in off().paths if path in paths]
    if not left:
        host.noop("no backup is set up (BACKUP_TARGET)")
        return
    announce(host, "BACKUP_TARGET is empty: the timers of backup and drill are removed")
    yield command(host, _remove, "remove the backup's timers")


def _remove(run: Runner) -> None:
    units = " ".join(f"{name}.{kind}" for name in (names.BACKUP, names.DRILL) for kind in ("timer", "service"))
    files = " ".join(f"/etc/systemd/system/{unit}" for unit in units.split())
    run(f"systemctl disable --now {units} 2>/dev/null; rm -f {files}; systemctl daemon-reload", timeout=120)
