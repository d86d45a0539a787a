"""A host that runs nothing but this deploy is protected: packet filter, sshd without passwords, security updates.

Nothing of it can lock the operator out. A switch on the host is armed before SSH or the packet filter changes, and
takes the change back when its time is over; only a new SSH connection of the operator, made under the new rules,
disarms it. A run that dies in between leaves that to the host, and the next run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial

from pyinfra import logger
from pyinfra.api.command import FunctionCommand
from pyinfra.context import ctx_host

from tailwart.errors import TailwartError
from tailwart.facts.host import observe
from tailwart.hosts.hardening import plan, switch, texts
from tailwart.hosts.hardening.plan import WINDOW, HostRole
from tailwart.hosts.packages import SETTLE
from tailwart.hosts.watch import Watch
from tailwart.operations import hostfiles
from tailwart.operations.guard import operation
from tailwart.operations.progress import announce
from tailwart.operations.remote import command, gather
from tailwart.runner import Runner

Prove = Callable[[], None]
"""Opens a new SSH connection to the host, as the operator would; raises `TailwartError` or `TimeoutError`."""

PAUSES = (1.0, 4.0)
"""Seconds between the attempts to prove a change. All of them end long before the host takes it back by itself."""

_INSTALL = f"{SETTLE}apt update; apt --no-install-recommends install"


@operation()
def harden(role: HostRole, watch: Watch, prove: Prove, wanted: bool) -> Generator[FunctionCommand, None, None]:
    """The host is protected; one that others use as well is left alone, and one that is exempt gets everything back."""
    host = ctx_host.get()
    report = observe(host, watch)
    state = plan.state_of(role, report)
    if not wanted:
        if not state.hardened and not state.unproven:
            host.noop("not hardened: HARDEN or HARDEN_SKIP says so, or a web server shares this host")
            return
        announce(host, "the packet filter and the settings of sshd are removed")
        yield command(host, remove, "remove the hardening")
        return
    others = ", ".join(state.strangers)
    if others and not state.hardened and not state.unproven:
        announce(host, f"not hardened, because this host is not the deploy's alone: {others}")
        host.noop("not the deploy's alone")
        return
    if texts.TAKEN_BACK in report.paths:
        announce(host, "the host had taken a change back by itself, for want of a new SSH connection; once more:")
    if others:
        announce(host, f"closed by the packet filter: {others}. To leave the host alone: HARDEN_SKIP={host.name}")
    for line in plan.reboot_due(role, report):
        host.log(f"! {line}", log_func=logger.warning)
    reasons = plan.drift(role, report)
    if not reasons:
        host.noop("hardened")
        return
    announce(host, "; ".join(reasons))
    if host.state.config.DIFF:
        hostfiles.show(host, report, hostfiles.pending(report, plan.support(reboot=role.reboot))[0])
    yield command(host, partial(enforce, role=role, prove=prove), "harden the host")


def enforce(run: Runner, role: HostRole, prove: Prove, seconds: int = WINDOW) -> None:
    """Do what is missing, prove it by a new connection within ``seconds``, and keep it; raises `TailwartError`."""
    _install(run, plan.missing_packages(plan.state_of(role, gather(run, role.watch))))
    state = plan.state_of(role, gather(run, role.watch))
    hostfiles.write(run, (*plan.support(seconds, role.reboot), *plan.staged(role, state)))
    change(run)
    try:
        _proven(prove)
    except (TailwartError, TimeoutError) as problem:
        _take_back(run)
        raise _not_let_in(problem) from problem
    result = run(switch.COMMIT, timeout=60)
    if not result.ok:
        raise TailwartError(
            "the new packet filter and SSH settings could not be kept",
            seen=result.stderr.strip()[-500:],
            expected=f"the proof within {seconds} s, and a writable file system",
            remedy="run the deploy again: the host has what it had before, or gets it back by itself",
        )
    if left := plan.drift(role, gather(run, role.watch)):
        raise TailwartError(
            "the host is not hardened after all steps",
            seen="; ".join(left),
            expected="rules that nft lists as they were loaded, and an sshd that reads /etc/ssh/sshd_config.d",
            remedy="look at `nft list table inet tailwart` and `sshd -T` on the host: another setting may come before, "
            "or /etc/ssh/sshd_config lacks `Include /etc/ssh/sshd_config.d/*.conf` as its first line; or exempt the "
            "host with HARDEN_SKIP",
        )


def _proven(prove: Prove) -> None:
    """An sshd that is being reloaded, or a busy host, may drop a connection that it would let in a moment later."""
    for pause in PAUSES:
        with suppress(TailwartError, TimeoutError):
            return prove()
        time.sleep(pause)
    return prove()


def change(run: Runner) -> None:
    """Arm the switch and activate what is staged, unproven. A `TailwartError`: nothing has changed."""
    result = run(switch.ENFORCE, timeout=120)
    if not result.ok:
        _take_back(run)
        raise TailwartError(
            "the new packet filter and SSH settings cannot be activated; the host has what it had before",
            seen="\n".join((result.stderr or result.stdout).strip().splitlines()[-4:]),
            expected="`nft -c` and `sshd -t` to accept them, and systemd to start a timer",
            remedy="fix the error above on the host, or exempt it with HARDEN_SKIP",
        )


def remove(run: Runner) -> None:
    """Give the host back what it had; raises `TailwartError`."""
    result = run(switch.REMOVE, timeout=60)
    if not result.ok:
        raise TailwartError(
            "the hardening could not be removed",
            seen=result.stderr.strip()[-500:],
            expected="a writable file system, and systemd",
            remedy="run the deploy again",
        )


def _install(run: Runner, packages: list[str]) -> None:
    if not packages:
        return
    result = run(f"{_INSTALL} {' '.join(packages)} >&2", timeout=900)
    if not result.ok:
        raise TailwartError(
            f"{' and '.join(packages)} could not be installed",
            seen="\n".join(result.stderr.strip().splitlines()[-4:]),
            expected="apt-get with Debian's archive",
            remedy="look at /etc/apt/sources.list.d and the host's network, or exempt the host with HARDEN_SKIP",
        )


def _take_back(run: Runner) -> None:
    # This connection may be dead too: the host then does it by itself.
    with suppress(Exception):
        run(f"sh {texts.DIRECTORY}/restore.sh", timeout=60)


def _not_let_in(problem: Exception) -> TailwartError:
    return TailwartError(
        "under the new packet filter and SSH settings the host does not let the operator in; they were taken back",
        seen=str(problem).splitlines()[0] if str(problem) else type(problem).__name__,
        expected="a new SSH connection with the settings of .env",
        remedy="log in with a key instead of a password, and on a port that sshd itself listens on; or exempt the host "
        "with HARDEN_SKIP",
    )
