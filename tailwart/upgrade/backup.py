"""The backup before an upgrade, and its rehearsal."""

from __future__ import annotations

from collections.abc import Callable

from tailwart.backup import drill, planes, sets
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.operations.images import fetch
from tailwart.operations.remote import HostRunner
from tailwart.runner import Runner


def configured(environment: Environment) -> bool:
    """Whether a backup can be taken."""
    return environment.backup_target is not None


def describe(environment: Environment) -> str:
    """What happens before the upgrade, in the operator's words."""
    return (
        f"taken first, to {environment.backup_target}" if configured(environment) else "none: BACKUP_TARGET is not set"
    )


def take(run: HostRunner, environment: Environment, log: Callable[[str], None]) -> str:
    """Take a backup now and return the set's name; an empty text where none is configured. Raises `TailwartError`."""
    if not configured(environment):
        return ""
    for note in planes.hand_over(run, environment):
        log(f"! {note}")
    taken = sets.take(run, progress=log)
    log(f"backup: set {taken.name}, in {taken.seconds} s")
    return taken.name


def rehearse(run: Runner, taken: str, image: str, log: Callable[[str], None]) -> None:
    """Open the set with the new image in the isolated stack; raises `TailwartError` when that fails."""
    if not taken:
        raise TailwartError(
            "the upgrade cannot be rehearsed",
            seen="BACKUP_TARGET is not set",
            expected="a set that the new version can open in isolation",
            remedy="set BACKUP_TARGET (docs/backup.md), or leave out --rehearse",
        )
    fetch(run, image, "STALWART_IMAGE")
    done = drill.run(run, taken, image=image, progress=log)
    log(f"rehearsal: {image} has opened set {done.name} in {done.seconds} s, in isolation")
