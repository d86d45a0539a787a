"""Applies a plan, in as few requests as the references between new objects allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tailwart.plan.model import Action
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.failures import SettingsError, refused, remedy
from tailwart.stalwart.protocol.jmap import MAX_OBJECTS, Answer, Call
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.values import Ref, Resolve, references, secrets_of
from tailwart.stalwart.settings.documents import creation, update
from tailwart.stalwart.settings.planning import ObjectChange

# References that are optional at creation: the object is created now, and gets them one request later.
_OPTIONAL_REFERENCES = frozenset({"memberGroupIds", "certificateManagement", "dnsManagement", "encryptionAtRest"})


@dataclass(slots=True)
class Outcome:
    """What was written so far. `failures` are sentences on refused objects, `remedies` what to do about each.

    `secrets` are those that were written inside other values, by the names of their fingerprints.
    """

    created: dict[Ref, str] = field(default_factory=dict)
    passwords: list[ObjectChange] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    remedies: list[str] = field(default_factory=list)

    def raise_failures(self) -> None:
        """Raises one SettingsError that names every refused object; nothing when none was refused."""
        if self.failures:
            raise SettingsError(
                f"Stalwart refused {len(self.failures)} change{'s' * (len(self.failures) > 1)}; the others are done",
                seen="\n".join(self.failures),
                remedy="\n".join([*dict.fromkeys(self.remedies), "the next run finishes what is missing"]),
            )


@dataclass(frozen=True, slots=True)
class _Writer:
    """What every step of one apply needs."""

    live: Live
    hashes: Mapping[str, str]
    outcome: Outcome

    def resolve(self, ref: Ref) -> str | None:
        return self.outcome.created.get(ref) or self.live.resolve(ref)


def apply(
    client: Client, changes: Sequence[ObjectChange], live: Live, hashes: Mapping[str, str], outcome: Outcome
) -> None:
    """Write the changes. Refused objects are noted in the outcome; what does not depend on them is still written.

    `hashes` holds the password hash of each change by its `secret_name`. Raises SettingsError when a whole request is
    refused or not answered.
    """
    writer = _Writer(live, hashes, outcome)
    resolve = writer.resolve
    pending = list(changes)
    while pending:
        ready: list[ObjectChange] = []
        waiting: list[ObjectChange] = []
        for change in pending:
            now, later = _split(change, resolve)
            ready += [now] if now else []
            waiting += [later] if later else []
        if not ready:
            for change in waiting:
                missing = ", ".join(f"{ref.kind} {ref.key}" for ref in _missing(change, resolve))
                outcome.failures.append(f"{change.ref.kind} {change.ref.key}: waits for {missing}")
            return
        calls, by_token = _calls(ready, writer)
        for answer in client.call(calls):
            _note(answer, by_token, live, outcome)
        pending = waiting


def _missing(change: ObjectChange, resolve: Resolve) -> list[Ref]:
    refs = {ref for value in change.values.values() for ref in references(value)}
    if change.action is Action.UPDATE and change.object_id is None:
        refs.add(change.ref)
    return sorted(ref for ref in refs if resolve(ref) is None)


def _split(change: ObjectChange, resolve: Resolve) -> tuple[ObjectChange | None, ObjectChange | None]:
    """The part that can be written now, and the part that waits for objects that do not exist yet."""
    missing = _missing(change, resolve)
    if not missing:
        return change, None
    optional = {
        path: value
        for path, value in change.values.items()
        if path in _OPTIONAL_REFERENCES and any(resolve(ref) is None for ref in references(value))
    }
    rest = {path: value for path, value in change.values.items() if path not in optional}
    now = replace(change, values=rest)
    if change.action is not Action.CREATE or not optional or _missing(now, resolve):
        return None, change
    return now, ObjectChange(Action.UPDATE, change.ref, None, optional, masked=change.masked)


def _owner(change: ObjectChange, writer: _Writer) -> str:
    """The account that a new object of a person is created for: the server takes it from the call, not the object."""
    person = change.values.get("accountId")
    return str(writer.resolve(person)) if change.action is Action.CREATE and isinstance(person, Ref) else ""


def _calls(changes: Sequence[ObjectChange], writer: _Writer) -> tuple[list[Call], dict[str, ObjectChange]]:
    """One `set` per kind and 500 objects; deletions come last, when nothing uses the objects any longer."""
    by_token: dict[str, ObjectChange] = {}
    batches: dict[tuple[bool, str, str], list[ObjectChange]] = {}
    for change in changes:
        batches.setdefault((change.action is Action.DELETE, change.ref.kind, _owner(change, writer)), []).append(change)
    calls: list[Call] = []
    for (_, kind, owner), batch in sorted(batches.items(), key=lambda entry: entry[0][0]):
        for start in range(0, len(batch), MAX_OBJECTS):
            arguments: dict[str, Any] = {"accountId": owner} if owner else {}
            for change in batch[start : start + MAX_OBJECTS]:
                token = f"t{len(by_token)}"
                if change.action is Action.CREATE:
                    arguments.setdefault("create", {})[token] = creation(change, writer.resolve, writer.hashes)
                else:
                    token = change.object_id or str(writer.resolve(change.ref))
                    if change.action is Action.DELETE:
                        arguments.setdefault("destroy", []).append(token)
                    else:
                        patch = arguments.setdefault("update", {}).setdefault(token, {})
                        patch.update(update(change, writer.resolve, writer.hashes))
                by_token[f"{kind}/{token}"] = change
            calls.append(Call(kind, "set", arguments))
    return calls, by_token


def _note(answer: Answer, by_token: Mapping[str, ObjectChange], live: Live, outcome: Outcome) -> None:
    kind = answer.call.kind
    for token, created in (answer.arguments.get("created") or {}).items():
        change = by_token[f"{kind}/{token}"]
        outcome.created[change.ref] = str(created["id"])
        _written(change, outcome)
    for identifier in answer.arguments.get("updated") or {}:
        _written(by_token[f"{kind}/{identifier}"], outcome)
    for answered, verb in (("notCreated", "create"), ("notUpdated", "update"), ("notDestroyed", "delete")):
        for token, error in (answer.arguments.get(answered) or {}).items():
            if answered == "notDestroyed" and error.get("type") == "notFound":
                continue
            change = by_token[f"{kind}/{token}"]
            outcome.failures.append(refused(verb, kind, change.ref.key, error, live.names))
            outcome.remedies.append(remedy(error, kind))


def _written(change: ObjectChange, outcome: Outcome) -> None:
    if change.password is not None:
        outcome.passwords.append(change)
    for value in change.values.values():
        outcome.secrets |= {secret.name: secret.text for secret in secrets_of(value)}
