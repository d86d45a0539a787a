"""Joins a host to the tailnet."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator
from functools import partial

from pydantic import SecretStr
from pyinfra.api.command import FunctionCommand
from pyinfra.context import ctx_host

from tailwart.errors import TailwartError
from tailwart.facts.host import observe
from tailwart.hosts import membership
from tailwart.hosts.membership import Membership, Step
from tailwart.hosts.report import Probe
from tailwart.hosts.watch import Watch
from tailwart.operations.guard import operation
from tailwart.operations.progress import announce
from tailwart.operations.remote import command
from tailwart.runner import Runner

_NOTHING = Probe(1, b"")

Key = Callable[[], SecretStr | None]
"""Gives an auth key, or None without any way to one; called when the host really has to join."""


@operation()
def join_tailnet(desired: Membership, watch: Watch, key: Key) -> Generator[FunctionCommand, None, None]:
    """The host is a node of the tailnet with its tags; one that is on a tailnet already is left as it is.

    ``watch`` is the role's, with `membership.WATCH` in it.
    """
    host = ctx_host.get()
    try:
        missing = _step(desired, observe(host, watch).probes.get(membership.PROBE, _NOTHING)).value
    except TailwartError as problem:
        missing = problem.what
    if missing == Step.NOTHING.value:
        host.noop(f"on {desired.tailnet} with {desired.tag}")
        return
    announce(host, f"tailnet: {missing}")
    yield command(host, partial(join, desired=desired, key=key), "join the tailnet")


def join(run: Runner, desired: Membership, key: Key) -> None:
    """Do what is missing, with the status read again after each step; raises `TailwartError`."""
    for _ in Step:
        result = run(membership.STATUS, timeout=60)
        missing = _step(desired, Probe(0 if result.ok else _exit_code(result.stdout, run), result.stdout.encode()))
        if missing is Step.NOTHING:
            return
        if missing is Step.INSTALL:
            _install(run)
        elif missing is Step.START:
            _start(run)
        else:
            _up(run, desired, key)
    raise TailwartError(
        f"the {desired.host} did not join the tailnet",
        seen="`tailscale up` succeeded, but `tailscale status` does not report Running",
        expected=f"a running node of {desired.tailnet}",
        remedy="look at `tailscale status` on the host: an administrator may have to approve the machine",
    )


def _step(desired: Membership, probe: Probe) -> Step:
    text = probe.output.decode(errors="replace")
    return membership.step(desired, probe.exit_code != 127, probe.exit_code, text)


def _exit_code(output: str, run: Runner) -> int:
    return 1 if output or run("command -v tailscale").ok else 127


def _install(run: Runner) -> None:
    result = run(
        "export DEBIAN_FRONTEND=noninteractive; apt-get -qq update; apt-get -qq install -y tailscale", timeout=900
    )
    if not result.ok:
        raise TailwartError(
            "Tailscale is not on this host, and apt has no package of that name",
            seen=(result.stderr.strip().splitlines() or ["no message"])[-1],
            expected="the command `tailscale`, or an apt source that has it",
            remedy="add Tailscale's package source as tailscale.com/download/linux says, then run the deploy again",
        )


def _start(run: Runner) -> None:
    result = run("systemctl enable --now tailscaled", timeout=120)
    if not result.ok:
        raise TailwartError(
            "tailscaled does not start on this host",
            seen=result.stderr.strip()[-500:],
            expected="a running tailscaled.service",
            remedy="look at `journalctl -u tailscaled -n 20` on the host",
        )


def _up(run: Runner, desired: Membership, key: Key) -> None:
    given = key()
    if given is None:
        raise membership.no_key(desired)
    secret = given.get_secret_value()
    # The key travels on standard input into a file that only root reads, and tailscale reads it from there.
    up = shlex.join(membership.up(desired, secret))
    result = run(
        "set -eu; umask 077; key=$(mktemp /run/tailwart-key-XXXXXX); trap 'rm -f \"$key\"' EXIT; "
        f'cat >"$key"; {up} --auth-key="file:$key" 2>&1',
        stdin=secret,
        timeout=180,
    )
    if not result.ok:
        raise TailwartError(
            f"the {desired.host} could not join the tailnet",
            seen=result.stdout.replace(secret, "********").strip()[-800:],
            expected=f"an auth key that is valid, unused or reusable, and for {desired.tag}",
            remedy=f"run the deploy again, which makes a new one-time key; where {desired.key_setting} is set, leave "
            f"it empty or make a new key with {desired.tag}",
        )
