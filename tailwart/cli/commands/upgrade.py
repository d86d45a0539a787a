"""The command `tailwart upgrade`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from tailwart import releases
from tailwart.cli.commands.deploying import deploy
from tailwart.cli.commands.progress import shown
from tailwart.environment import Environment, load, selected_path
from tailwart.environment.editing import edited, write
from tailwart.errors import TailwartError
from tailwart.mailbox.project import compose_project
from tailwart.operations.remote import HostRunner
from tailwart.printing import say
from tailwart.stalwart.lifecycle import version as running_version
from tailwart.stalwart.mailbox_host import mailbox_host
from tailwart.upgrade import backup, copies, step
from tailwart.upgrade.operations import mailbox

_KEY = "STALWART_IMAGE"
_COPIES = {
    copies.EMBEDDED: "the store is copied while the server is stopped",
    copies.DATABASE: "the database is dumped on its host",
    "": "none: the database's host is not in BACKENDS_SSH",
}


@dataclass(frozen=True, slots=True)
class _Planned:
    before: str
    running: str
    image: str
    refused: bool


def upgrade(version: str | None, *, rehearse: bool, without_backup: bool, yes: bool) -> None:
    """Show the step, ask, and take it. Raises `TailwartError` when it is refused or was taken back."""
    environment = load().environment
    image = str(environment.stalwart_image)
    if version:
        image = step.with_version(image, version.removeprefix("v"))
    target = step.short(image)
    with mailbox_host(environment) as run:
        planned = _planned(run, image)
        remark = step.check(planned.running, target)
        if planned.before == image and not planned.refused:
            say(f"Stalwart {planned.running} runs already: nothing to do. Next: tailwart outdated")
            return
        kind = mailbox(environment, compose_project(environment)).copy
        say(f"Stalwart {planned.running or step.short(planned.before)} → {target} ({image})")
        say(f"  backup:   {backup.describe(environment)}")
        say(f"  copy:     {_COPIES[kind]}")
        say("  pause:    seconds, printed at the end; the way back: by itself, when the proof fails")
        for line in filter(None, (remark, "it failed its proof before" if planned.refused else "")):
            say(f"! {line}", err=True)
        _refuse_without_copy(environment, kind, without_backup)
        if not yes:
            if not sys.stdin.isatty():
                raise TailwartError("nothing was changed", seen="no terminal to ask at", remedy="add --yes")
            click.confirm("Upgrade now?", abort=True, err=True)
        with shown() as tell:
            taken = backup.take(run, environment, tell)
            if rehearse:
                backup.rehearse(run, taken, image, tell)
        run(f"rm -f {step.REFUSED}", timeout=60)
    _swap(selected_path(), image if version else "", planned, target)


def _swap(path: Path, image: str, planned: _Planned, target: str) -> None:
    before = path.read_text(encoding="utf-8")
    if image:
        write(path, edited(before, {_KEY: image}))
        say(f"{path}: {_KEY}={image}")
    if deploy("--limit", "mailbox", command=f"upgrade to {target}"):
        say(f"Stalwart {target} serves. Next: tailwart settings plan; and `tailwart images lock` pins the new image")
        return
    with mailbox_host(load().environment) as run:
        after = running_version.running(run, "")
    if image and after == planned.running:
        write(path, before)
        say(f"{path}: {_KEY} is what it was", err=True)
    raise TailwartError(
        f"the upgrade to {target} did not succeed; Stalwart {after or 'unknown'} runs",
        seen="the last lines of the deploy, above",
        expected=f"Stalwart {target}, proven",
        remedy="pyinfra inventory.py deploy.py --limit mailbox shows what is left to do"
        if after == planned.running
        else "run `tailwart upgrade` again: it goes on where this one ended",
    )


def _planned(run: HostRunner, image: str) -> _Planned:
    said = run(f"cat {step.NOTE.rpartition('/')[0]}/compose.yaml 2>/dev/null", timeout=60)
    images = step.images(said.stdout)
    if images is None:
        raise TailwartError(
            "there is no mailbox to upgrade yet",
            seen="no compose.yaml of a deploy on the mailbox host",
            remedy="pyinfra inventory.py deploy.py",
        )
    refused = step.refused(run(f"cat {step.REFUSED} 2>/dev/null || :", timeout=60).stdout)
    return _Planned(images.stalwart, running_version.running(run, images.stalwart), image, refused == image)


def _refuse_without_copy(environment: Environment, kind: str, insisted: bool) -> None:
    if kind or insisted or backup.configured(environment):
        return
    raise TailwartError(
        "there would be no copy of the data from before the upgrade",
        seen="BACKUP_TARGET is not set, and the database's host is not in BACKENDS_SSH",
        expected=f"one of the two; within {releases.SUPPORTED.name} the way back has never needed it",
        remedy="set BACKUP_TARGET (docs/backup.md), set BACKENDS_SSH, or insist with --without-backup",
    )
