"""The commands of `tailwart backup`, `restore` and `drill`."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Mapping
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from tailwart import fields
from tailwart.backup import drill as drilling
from tailwart.backup import names, planes, restore, sets
from tailwart.backup.comparison import Compared, Login
from tailwart.cli.commands.progress import shown
from tailwart.environment import Environment, load
from tailwart.errors import TailwartError
from tailwart.printing import say
from tailwart.stalwart.mailbox_host import mailbox_host


def take(target: str, *, export: bool, as_json: bool) -> None:
    """Take a backup and print the set."""
    environment = load().environment
    _configured(environment)
    with mailbox_host(environment) as run, shown() as progress:
        for note in planes.hand_over(run, environment):
            say(f"! {note}", err=True)
        taken = sets.take(run, to=_target(target), export=export, progress=progress)
    if as_json:
        _print_json(taken.document())
        return
    pause = f"; the server was stopped for {taken.pause_seconds} s" if taken.pause_seconds else ""
    if taken.retention_problem:
        say(f"! the retention could not be applied: {taken.retention_problem}", err=True)
    say(
        f"Set {taken.name}: {_counted(taken.counts)}, {_size(taken.bytes)}, of which {_size(taken.added)} new, "
        f"in {taken.seconds} s{pause}. Next: tailwart drill"
    )


def list_all(target: str, *, as_json: bool) -> None:
    """Print the complete sets."""
    environment = load().environment
    _configured(environment)
    with mailbox_host(environment) as run:
        found = sets.sets(run, to=_target(target))
    if as_json:
        _print_json([item.document() for item in found])
        return
    for item in found:
        say(f"{item.name}  {item.store:<8}  {_size(item.bytes):>9}  {_counted(item.counts)}  {item.stalwart}")
    said = f"{len(found)} sets. Next: tailwart drill {found[-1].name}" if found else "No set yet. Next: tailwart backup"
    say(said)


def verify(name: str, target: str, *, as_json: bool) -> None:
    """Read a set back and print what was compared."""
    environment = load().environment
    _configured(environment)
    with mailbox_host(environment) as run, shown() as progress:
        found = sets.verify(run, _set(name), to=_target(target), progress=progress)
    if as_json:
        _print_json(found.document())
    else:
        said = f"Set {found.name} is whole: {_size(found.bytes)}, {_counted(found.counts)}"
        say(f"{said}. Next: tailwart drill {found.name}")


def prune(target: str) -> None:
    """Apply the retention."""
    environment = load().environment
    _configured(environment)
    with mailbox_host(environment) as run, shown() as progress:
        sets.prune(run, to=_target(target), progress=progress)
    say(f"Kept: {', '.join(environment.backup_keep)}. Next: tailwart backup list")


def restore_set(environment: Environment, name: str, *, overwrite: bool = False, target: str = "") -> restore.Restored:
    """Restore a set into the mailbox host of `environment`."""
    with mailbox_host(environment, changes=True) as run, shown() as progress:
        return restore.run(run, environment, _set(name), overwrite=overwrite, to=_target(target), progress=progress)


def restore_command(name: str, into: str, *, overwrite: bool, target: str, yes: bool, as_json: bool) -> None:
    """Ask, restore, and print what came back and how long it took."""
    environment = _into(load().environment, into)
    _configured(environment)
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise TailwartError("nothing was restored", seen="no terminal to ask at", remedy="add --yes")
        click.confirm(f"Restore {name} into {environment.mailbox_ssh} and its stores?", abort=True, err=True)
    begun = time.monotonic()
    done = restore_set(environment, name, overwrite=overwrite, target=target)
    minutes = (time.monotonic() - begun) / 60
    if as_json:
        _print_json({**done.document(), "minutes": round(minutes, 1)})
        return
    kept = f" What the store held before is in {done.aside} on the host." if done.aside else ""
    say(f"Restored set {done.name} of {done.started}: {_counted(done.counts)}, in {minutes:.1f} minutes.{kept}")
    say("Next: pyinfra inventory.py deploy.py; make verify")


def drill(name: str, target: str, *, messages: bool, as_json: bool) -> None:
    """Drill a set and print what was compared."""
    environment = load().environment
    _configured(environment)
    accounts = ((f"{item.name}@{environment.domain}", item.password) for item in environment.accounts)
    logins = tuple(Login(address, password.get_secret_value()) for address, password in accounts) if messages else ()
    with mailbox_host(environment) as run, shown() as progress:
        done = drilling.run(run, _set(name), to=_target(target), logins=logins, progress=progress)
    if as_json:
        _print_json(done.document())
        return
    for account in done.accounts:
        say(_compared(account))
    say(
        f"Set {done.name} restores: {_counted(done.counts)} as the server had them, in {done.seconds} s; the stack had "
        f"no interface but {done.interfaces}. Recorded in {names.LAST_DRILL} on the host."
    )


def _compared(account: Compared) -> str:
    since = ", ".join(
        text
        for text in (
            f"{account.newer} came since" * bool(account.newer),
            f"{account.gone} went since" * bool(account.gone),
        )
        if text
    )
    return (
        f"{account.address:<32} {account.mailboxes} mailboxes, {account.messages} messages, {account.hashed} compared "
        f"by their hash{f'; {since}' if since else ''}"
    )


def _configured(environment: Environment) -> None:
    if environment.backup_target is None:
        raise TailwartError(
            "no backup is set up",
            seen="BACKUP_TARGET is empty",
            expected="a directory on the mailbox host, sftp://… or s3:…",
            remedy="set BACKUP_TARGET and BACKUP_PASSWORD in .env, then run the deploy",
        )


def _target(text: str) -> str:
    return _valid(fields.BackupTarget, text, "no such target") if text else ""


def _into(environment: Environment, text: str) -> Environment:
    if not text:
        return environment
    return environment.model_copy(update={"mailbox_ssh": _valid(fields.Ssh, text, "no such host")})


def _valid(kind: Any, text: str, what: str) -> Any:
    try:
        return TypeAdapter(kind).validate_python(text)
    except ValidationError as error:
        expected = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise TailwartError(what, seen=text, expected=expected) from None


def _set(name: str) -> str:
    if name != "latest" and not re.fullmatch(r"\d{8}T\d{6}Z", name):
        raise TailwartError(
            "this is no name of a set", seen=name, expected="20261127T031000Z, or latest", remedy="tailwart backup list"
        )
    return name


def _counted(counts: Mapping[str, Any]) -> str:
    objects = [f"{count} {kind}" for kind, count in (counts.get("objects") or {}).items()]
    rows = sum((counts.get("tables") or {}).values())
    bodies = counts.get("message bodies") or 0
    return ", ".join([*objects, *([f"{rows} rows"] if rows else []), *([f"{bodies} message bodies"] if bodies else [])])


def _size(octets: int) -> str:
    size, unit = float(octets), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):  # noqa: B007 - the last one is used
        if size < 1000:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def _print_json(document: Any) -> None:
    say(json.dumps(document, indent=2, ensure_ascii=False))
