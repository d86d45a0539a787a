"""A plan carried out: as few requests as the references between new objects allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tailwart.plan.model import Action
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.failures import SettingsError, refused, remedy
from tailwart.stalwart.protocol.jmap import MAX_OBJECTS, Answer, Call
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.values import TYPE, Ref, Resolve, at, encode, listed, merged, references
from tailwart.stalwart.settings.planning import ObjectChange

# References that an object can do without at its creation: it is created now, and gets them one request later.
_AFTERWARDS = frozenset({"memberGroupIds", "certificateManagement", "dnsManagement"})


@dataclass(slots=True)
class Outcome:
    """What happened so far; `failures` are sentences with the first error's remedy beside them."""

    created: dict[Ref, str] = field(default_factory=dict)
    passwords: list[ObjectChange] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    remedies: list[str] = field(default_factory=list)

    def raise_failures(self) -> None:
        """One SettingsError that names every refused object."""
        if self.failures:
            raise SettingsError(
                f"Stalwart refused {len(self.failures)} change{'s' * (len(self.failures) > 1)}; the others are done",
                seen="\n".join(self.failures),
                remedy="; ".join(dict.fromkeys(self.remedies)) + ". The next run finishes what is missing",
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
    client: Client, operations: Sequence[ObjectChange], live: Live, hashes: Mapping[str, str], outcome: Outcome
) -> None:
    """Write the operations; refused objects are noted in the outcome, everything independent of them is still done."""
    writer = _Writer(live, hashes, outcome)
    resolve = writer.resolve
    pending = list(operations)
    while pending:
        ready: list[ObjectChange] = []
        waiting: list[ObjectChange] = []
        for operation in pending:
            now, later = _split(operation, resolve)
            ready += [now] if now else []
            waiting += [later] if later else []
        if not ready:
            for operation in waiting:
                missing = ", ".join(f"{ref.kind} {ref.key}" for ref in _missing(operation, resolve))
                outcome.failures.append(f"{operation.ref.kind} {operation.ref.key}: waits for {missing}")
            return
        calls, by_token = _calls(ready, writer)
        for answer in client.call(calls):
            _note(answer, by_token, live, outcome)
        pending = waiting


def _missing(operation: ObjectChange, resolve: Resolve) -> list[Ref]:
    refs = {ref for value in operation.values.values() for ref in references(value)}
    if operation.action is Action.UPDATE and operation.object_id is None:
        refs.add(operation.ref)
    return sorted(ref for ref in refs if resolve(ref) is None)


def _split(operation: ObjectChange, resolve: Resolve) -> tuple[ObjectChange | None, ObjectChange | None]:
    """What can be written now and what must wait for objects that do not exist yet."""
    missing = _missing(operation, resolve)
    if not missing:
        return operation, None
    optional = {
        path: value
        for path, value in operation.values.items()
        if path in _AFTERWARDS and any(resolve(ref) is None for ref in references(value))
    }
    rest = {path: value for path, value in operation.values.items() if path not in optional}
    now = replace(operation, values=rest)
    if operation.action is not Action.CREATE or not optional or _missing(now, resolve):
        return None, operation
    return now, ObjectChange(Action.UPDATE, operation.ref, None, optional, masked=operation.masked)


def _calls(operations: Sequence[ObjectChange], writer: _Writer) -> tuple[list[Call], dict[str, ObjectChange]]:
    """One `set` per kind and at most 500 objects; deletions come last, when nothing uses the objects any more."""
    by_token: dict[str, ObjectChange] = {}
    batches: dict[tuple[bool, str], list[ObjectChange]] = {}
    for operation in operations:
        batches.setdefault((operation.action is Action.DELETE, operation.ref.kind), []).append(operation)
    calls: list[Call] = []
    for (_, kind), batch in sorted(batches.items(), key=lambda entry: entry[0][0]):
        for start in range(0, len(batch), MAX_OBJECTS):
            arguments: dict[str, Any] = {}
            for operation in batch[start : start + MAX_OBJECTS]:
                token = f"t{len(by_token)}"
                if operation.action is Action.CREATE:
                    arguments.setdefault("create", {})[token] = _creation(operation, writer)
                else:
                    token = operation.object_id or str(writer.resolve(operation.ref))
                    if operation.action is Action.DELETE:
                        arguments.setdefault("destroy", []).append(token)
                    else:
                        patch = arguments.setdefault("update", {}).setdefault(token, {})
                        patch.update(_patch(operation, writer))
                by_token[f"{kind}/{token}"] = operation
            calls.append(Call(kind, "set", arguments))
    return calls, by_token


def _creation(operation: ObjectChange, writer: _Writer) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for path, value in operation.values.items():
        *parents, last = path.split("/")
        target = document
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = encode(value, writer.resolve)
    if operation.password is not None:
        document["credentials"] = {"0": _credential(operation, writer.hashes)}
    return document


def _patch(operation: ObjectChange, writer: _Writer) -> dict[str, Any]:
    patch = {
        path: merged(value, encode(value, writer.resolve), at(operation.live, path))
        for path, value in operation.values.items()
    }
    if operation.password is not None:
        held = listed(operation.live.get("credentials"))
        if len(held) > 1:
            # The person's app passwords and keys stand in the same list: only the password itself is replaced.
            index = next(
                (str(place) for place, item in enumerate(held) if item.get(TYPE) == "Password"), str(len(held))
            )
            patch[f"credentials/{index}/secret"] = writer.hashes[operation.secret_name]
        else:
            patch["credentials"] = {"0": _credential(operation, writer.hashes)}
    return patch


def _credential(operation: ObjectChange, hashes: Mapping[str, str]) -> dict[str, Any]:
    return {TYPE: "Password", "secret": hashes[operation.secret_name]}


def _note(answer: Answer, by_token: Mapping[str, ObjectChange], live: Live, outcome: Outcome) -> None:
    kind = answer.call.kind
    for token, created in (answer.arguments.get("created") or {}).items():
        operation = by_token[f"{kind}/{token}"]
        outcome.created[operation.ref] = str(created["id"])
        _written(operation, outcome)
    for identifier in answer.arguments.get("updated") or {}:
        _written(by_token[f"{kind}/{identifier}"], outcome)
    for answered, verb in (("notCreated", "create"), ("notUpdated", "update"), ("notDestroyed", "delete")):
        for token, error in (answer.arguments.get(answered) or {}).items():
            if answered == "notDestroyed" and error.get("type") == "notFound":
                continue
            operation = by_token[f"{kind}/{token}"]
            outcome.failures.append(refused(verb, kind, operation.ref.key, error, live.names))
            outcome.remedies.append(remedy(error))


def _written(operation: ObjectChange, outcome: Outcome) -> None:
    if operation.password is not None:
        outcome.passwords.append(operation)
