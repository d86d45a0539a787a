"""The commands of `tailwart settings` about any object of the server: describe, export --all, import."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from tailwart.cli.commands.settings import no_server
from tailwart.environment import load
from tailwart.errors import TailwartError
from tailwart.printing import say
from tailwart.stalwart.lifecycle import server_schema
from tailwart.stalwart.lifecycle.assembly import server
from tailwart.stalwart.mailbox_host import declared, mailbox_host
from tailwart.stalwart.objects import describing, importing
from tailwart.stalwart.objects.exporting import Export
from tailwart.stalwart.protocol.container import stored_login
from tailwart.stalwart.schema.model import Schema


def describe(what: str, *, refresh: bool, as_json: bool) -> None:
    """Print every kind, one kind, or one field."""
    schema = _schema(refresh=refresh)
    kind, _, path = what.replace("/", ".").partition(".")
    if not what:
        kinds = describing.kinds(schema)
        _print(kinds, describing.text_of_kinds(kinds), as_json)
    elif not path:
        found = describing.kind(schema, kind)
        _print(found, describing.text_of_kind(found), as_json)
    else:
        field = describing.field(schema, kind, path)
        _print(field, describing.text_of_field(field), as_json)


def completions(begun: str) -> list[str]:
    """Kinds and fields that begin like this, by the schema seen last; none without one."""
    try:
        schema = server_schema.last_seen()
    except TailwartError:
        return []
    return describing.completions(schema, begun) if schema else []


def export(output: Path | None, only: Sequence[str]) -> None:
    """Print the live state as `stalwart_objects`, or write it to a file of mode 0600."""
    environment = load().environment
    desired = declared(environment)
    with mailbox_host(environment) as run:
        plane = server(run, run.host, environment, desired, lambda text: say(text, err=True))
        observed = plane.observe(everything=True)
        if observed.live is None:
            raise no_server("to export")
        found = plane.exported(observed, observed.live, only)
    _write(found, output, "put it into group_data/mailbox.py, then tailwart settings plan, which shows no changes")


def import_(file: Path, output: Path | None) -> None:
    """Print what a plan of Stalwart's client becomes, or write it to a file of mode 0600."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise TailwartError(
            f"{file} cannot be read as UTF-8 text", seen=type(problem).__name__, remedy=f"check {file}"
        ) from None
    found = importing.read(text, _schema(refresh=False))
    _write(found, output, "put it into group_data/mailbox.py, then tailwart settings plan")


def _write(found: Export, output: Path | None, then: str) -> None:
    if output is None:
        say(found.text(), nl=False)
        say(f"Next: {then}", err=True)
        return
    output.touch(mode=0o600)
    output.chmod(0o600)  # also when the file was there before
    output.write_text(found.text(), encoding="utf-8")
    say(f"{output}: {len(found.objects)} kinds, {len(found.remarks)} remarks. Next: {then}")


def _schema(*, refresh: bool) -> Schema:
    """The schema seen last; of the running server when none was seen, or on request."""
    if not refresh and (seen := server_schema.last_seen()) is not None:
        return seen
    with mailbox_host(load().environment) as run:
        schema = server_schema.read(run, stored_login())
    if schema is None:
        raise TailwartError(
            "this server publishes no schema of its objects",
            seen="HTTP 404 for /api/schema",
            remedy="set STALWART_IMAGE to a release that is tested (docs/upgrade.md)",
        )
    return schema


def _print(document: object, lines: Iterable[str], as_json: bool) -> None:
    if as_json:
        say(json.dumps(document, indent=2, ensure_ascii=False))
        return
    for line in lines:
        say(line)
