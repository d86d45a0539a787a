"""systemd units that the deploy installs: services, timers and path units (`tailwart.hosts.units` declares them).

Not pyinfra's own `systemd.service`: it asks the host twice for each unit, and the deploy must say whether to restart or
to reload. A run that writes a unit file and dies before the restart would leave the older version running, and no later
run would see a reason to act.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator
from functools import partial

from pyinfra.api.command import FunctionCommand
from pyinfra.context import ctx_host

from tailwart.errors import TailwartError
from tailwart.facts.host import observe
from tailwart.hosts.files import pending
from tailwart.hosts.units import Unit, drift
from tailwart.hosts.watch import Watch
from tailwart.operations import hostfiles
from tailwart.operations.guard import operation
from tailwart.operations.progress import announce
from tailwart.operations.remote import command, gather
from tailwart.runner import Runner


@operation()
def activate(unit: Unit, watch: Watch | None = None) -> Generator[FunctionCommand, None, None]:
    """The files of ``unit`` are in place, it is enabled and active, and the version that runs is the present one.

    ``watch`` is the role's `Watch`, where the role has one, so that its operations share one remote command.

        systemd.activate(name="Mailbox: nightly backup", unit=BACKUP)
    """
    host = ctx_host.get()
    facts = unit.watch if watch is None else watch
    if not facts.covers(unit.watch):
        raise ValueError(f"the role's watch does not cover {unit.name}")
    report = observe(host, facts)
    reasons = drift(unit, report)
    if not reasons:
        host.noop(f"{unit.name} is up to date")
        return
    announce(host, "; ".join(reasons))
    if host.state.config.DIFF:
        hostfiles.show(host, report, pending(report, unit.files)[0])
    yield command(host, partial(start, unit=unit), f"activate {unit.name}")


def start(run: Runner, unit: Unit) -> None:
    """Write the files, load, enable and restart the unit, and verify; raises `TailwartError` with the journal's end."""
    hostfiles.write(run, unit.files)
    name, names = shlex.quote(unit.name), shlex.join(unit.names)
    steps = [
        "systemctl daemon-reload",
        f"systemctl enable {name}",
        # One that failed too often is not started again before that is forgotten.
        f"{{ systemctl reset-failed {names} 2>/dev/null || :; }}",
        f"systemctl restart {name}",
    ]
    if unit.done:
        steps.append(f"systemctl start {shlex.quote(unit.service)}")
    result = run(" && ".join(steps), timeout=120)
    reasons = drift(unit, gather(run, unit.watch))
    if result.ok and not reasons:
        return
    units = shlex.join(f"--unit={name}" for name in unit.names)
    journal = run(f"journalctl -n 6 -o cat --no-pager {units}", timeout=60)
    seen = [*result.stderr.strip().splitlines()[-3:], *reasons, *journal.stdout.strip().splitlines()]
    raise TailwartError(
        f"{unit.name} cannot be activated",
        seen="\n".join(seen),
        expected=f"systemd on the host, and {unit.name} enabled and active with the files of this deploy",
        remedy=f"look at `systemctl status {names}` on the host, then run again",
    )
