"""The command `tailwart rollback`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from tailwart.cli.commands.deploying import deploy
from tailwart.cli.commands.history import file_differences, show_difference
from tailwart.environment import load, selected_path
from tailwart.errors import TailwartError
from tailwart.history import inputs, rendered
from tailwart.history import rollback as ways
from tailwart.history.store import Store
from tailwart.history.working import checkout
from tailwart.plan import render
from tailwart.printing import say
from tailwart.stalwart.lifecycle.assembly import server
from tailwart.stalwart.mailbox_host import declared, mailbox_host
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.restoring import replaced_objects


def rollback(which: str | None, *, dry: bool, yes: bool) -> None:
    """Show the differences of every plane, ask, and go back. Raises `TailwartError`."""
    path = selected_path()
    environment = load().environment
    store = Store(environment.domain)
    target = ways.target(store, which)
    then, now = store.inputs(target), inputs.read(path)
    say(f"Back to deploy {target.number} of {target.began:%Y-%m-%d %H:%M} UTC ({target.code}), by {target.who}")
    say("Settings:")
    show_difference(list(inputs.differences(now, then)) or ["no difference"])
    if missing := inputs.missing_secrets(now, then):
        raise TailwartError(
            f"the settings of deploy {target.number} need secrets that {path} has no more",
            seen=", ".join(missing),
            expected="their values: a history keeps no secrets",
            remedy=f"set them in {path}, then run this again",
        )
    with ways.workspace(path, then) as folder:
        _show_files(store.rendered(target), folder, target.revision)
        _plan(folder)
    replaced = replaced_objects(ways.replaced_since(store, target))
    if replaced:
        names = ", ".join(sorted({f"{item.kind} {item.key}" for item in replaced}))
        say(f"Values that later deploys have replaced come back as well, where nothing declares them: {names}")
    if dry:
        say(f"Nothing was changed. Next: tailwart rollback --to {target.number}")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise TailwartError("nothing was changed", seen="no terminal to ask at", remedy="add --yes")
        click.confirm("Go back?", abort=True, err=True)
    kept = ways.put_back(path, then)
    say(f"The settings from before the rollback: {kept}")
    if not deploy(command=f"rollback to {target.number}"):
        raise TailwartError(
            "the rollback is not complete",
            seen="the last lines of the deploy, above",
            remedy=f"fix what they name and run `pyinfra inventory.py deploy.py`; settings from before are in {kept}",
        )
    if replaced and load().environment.mailbox_ssh is not None:
        _restore_values(replaced)
    say("Back. Next: tailwart history; make verify")


def _show_files(before: rendered.Texts, folder: Path, revision: str) -> None:
    """What the code of now renders from the settings of then, beside what that deploy rendered."""
    differences = list(file_differences(before, rendered.files(load(folder / ".env").environment)))
    if not differences:
        return
    here, _ = checkout()
    say(f"! The code is another: {revision or 'unknown'} → {here or 'unknown'}; these files stay as it renders them:")
    show_difference(differences)
    say(f"! For the code of then as well: git checkout {revision or 'REVISION'} && make setup, then run this again")


def _plan(folder: Path) -> None:
    say("Hosts, policy and zone:")
    sys.stdout.flush()
    words = [str(Path(sys.executable).with_name("pyinfra")), "inventory.py", "deploy.py", "--dry", "--diff"]
    variables = {**os.environ, "TAILWART_ENV": str(folder / ".env")}
    if subprocess.run(words, cwd=folder, env=variables, check=False).returncode:
        raise TailwartError(
            "the way back cannot be planned, so nothing was changed",
            seen="the last lines of the plan, above",
            remedy="fix what they name, then run this again",
        )


def _restore_values(replaced: Sequence[DesiredObject]) -> None:
    environment = load().environment
    with mailbox_host(environment, changes=True) as run:
        plane = server(
            run, run.host, environment, declared(environment), lambda line: say(line, err=True), replaced=replaced
        )
        observed = plane.observe()
        if observed.planned:
            say(render(observed.planned.document(observed.live or Live({})), colour=sys.stdout.isatty()))
            plane.apply(observed)
