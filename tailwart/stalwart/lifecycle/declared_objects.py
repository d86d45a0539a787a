"""`stalwart_objects` on a running server: schema, further objects to read, and the notes beside every write.

An installation that declares none asks for nothing more. One that does asks for the schema's digest once more, and
reads the declared kinds in the same command as everything else: which they are, the schema seen last says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import SecretStr

from tailwart.errors import TailwartError
from tailwart.mailbox import names, render
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle import notes, server_schema
from tailwart.stalwart.objects import describing, exporting
from tailwart.stalwart.objects.declared import NAME
from tailwart.stalwart.objects.exporting import Export
from tailwart.stalwart.objects.lines import Lines, lines
from tailwart.stalwart.objects.notes import Notes, dump
from tailwart.stalwart.objects.resolving import Inputs, Resolved, kinds_to_read, resolve, strangers
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import Login
from tailwart.stalwart.protocol.jmap import Call
from tailwart.stalwart.protocol.kinds import KINDS, Kind
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.values import Ref
from tailwart.stalwart.schema.model import Schema
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.fingerprints import Fingerprints
from tailwart.stalwart.settings.inputs import MailboxSettings
from tailwart.stalwart.settings.planning import ObjectChange

GROUP_DATA_FILE = Path("group_data/mailbox.py")


@dataclass(slots=True)
class DeclaredObjects:
    """The declaration of one installation against one server."""

    run: Runner
    settings: MailboxSettings
    builtin: tuple[DesiredObject, ...]
    base: str = names.BASE
    directory: str = names.DIRECTORY

    def reading(self) -> tuple[Call, ...]:
        """The calls for what is declared, as far as the schema seen last tells; none without a declaration."""
        schema = server_schema.last_seen() if self.settings.objects else None
        return self._calls(kinds_to_read(self._inputs(schema), {}), schema) if schema else ()

    def schema(self, login: Login) -> Schema:
        """The running server's schema; raises TailwartError when it publishes none."""
        schema = server_schema.read(self.run, login, self.base)
        if schema is None:
            raise TailwartError(
                f"{NAME} needs a server that publishes its schema",
                seen="HTTP 404 for /api/schema",
                remedy="set STALWART_IMAGE to a release that is tested (docs/upgrade.md)",
            )
        return schema

    def resolved(
        self, live: Live, noted: Notes, fingerprints: Fingerprints, login: Login, client: Client
    ) -> tuple[Resolved, Live]:
        """What is desired, and the reading with everything that it is compared with.

        Raises TailwartError that names every mistake of the declaration, or for a server without a schema.
        """
        if not self.settings.objects and not noted:
            return Resolved(self.builtin), live
        schema = self.schema(login)
        inputs = self._inputs(schema)
        wanted = kinds_to_read(inputs, noted)
        missing = self._calls([kind for kind in wanted if kind not in live.objects], schema)
        # A declared object may refer to any account or domain, by its name; those of settings are read already.
        missing += tuple(KINDS[kind].read() for kind in live.totals if strangers(inputs, kind))
        if missing:
            live = live.completed(client.read(missing))
        found = resolve(inputs, live, noted, fingerprints)
        return found, live.labelled(found.labels)

    def exported(self, live: Live, noted: Notes, login: Login, client: Client, only: Sequence[str] = ()) -> Export:
        """Everything that the server holds beside this project's settings, in the form of `stalwart_objects`.

        Raises TailwartError for a server without a schema, and for kinds in `only` that it does not know.
        """
        schema = self.schema(login)
        for kind in only:
            describing.kind(schema, kind)
        readable = client.readable([kind.name for kind in exporting.kinds(schema)])
        missing = [kind for kind in readable if kind not in live.objects or kind in live.totals]
        calls = [Kind(kind, singleton=schema.kinds[kind].singleton).read() for kind in missing]
        whole = live.completed(client.read(calls))
        return exporting.export(schema, whole, self.builtin, noted, only)

    def finish(self, found: Resolved) -> None:
        """Note the ids of what an interrupted run created."""
        if found.unfinished:
            notes.write(self.run, names.OBJECTS, dump(found.notes), self.directory)

    def before_writing(self, found: Resolved, noted: Notes, changes: Sequence[ObjectChange]) -> None:
        """Note what is about to be created; raises TailwartError when a secret has not reached the container yet."""
        if not changes or (not found.notes and not noted):
            return
        self._variables(found)
        if dump(found.notes) != dump(noted):
            notes.write(self.run, names.OBJECTS, dump(found.notes), self.directory)

    def after_writing(self, found: Resolved, created: Mapping[Ref, str]) -> None:
        """Note the ids of what was created."""
        with_ids = {
            place: replace(note, identifier=created[Ref(*place)]) if Ref(*place) in created else note
            for place, note in found.notes.items()
        }
        if with_ids != found.notes:
            notes.write(self.run, names.OBJECTS, dump(with_ids), self.directory)

    def _variables(self, found: Resolved) -> None:
        """A variable that is missing in the container makes every reload of its settings fail."""
        if not found.variables:
            return
        done = self.run(f"docker exec {names.CONTAINER} env", timeout=60)
        there = {line.partition("=")[0] for line in done.stdout.splitlines()}
        if missing := sorted(found.variables - there):
            raise TailwartError(
                "the server's container does not have every secret that stalwart_objects refers to",
                seen=f"no {', '.join(missing)} in its environment",
                expected="the values of .env, which the deploy writes to the mailbox host",
                remedy="pyinfra inventory.py deploy.py --limit mailbox",
            )

    def _inputs(self, schema: Schema) -> Inputs:
        secrets = {name: SecretStr(value) for name, value in render.secret_values(self.settings.env).items()}
        return Inputs(self.settings, schema, self.builtin, secrets, file_lines)

    @staticmethod
    def _calls(kinds: Sequence[str], schema: Schema) -> tuple[Call, ...]:
        return tuple(
            Kind(kind, singleton=schema.kinds[kind].singleton).read()
            for kind in kinds
            if kind not in KINDS or KINDS[kind].on_demand
        )


def file_lines(path: Path = GROUP_DATA_FILE) -> Lines:
    """Where each value of the declaration stands; nothing when the file is not where the commands are called."""
    try:
        return lines(path.read_text(encoding="utf-8"), NAME)
    except (OSError, UnicodeDecodeError):
        return Lines()
