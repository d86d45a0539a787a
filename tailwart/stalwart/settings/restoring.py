"""The way back for settings that are no longer declared: what a deploy has replaced, and those values as desired. Pure.

A name of group data that is not set manages nothing. So when a deploy that has set one is taken back, declaring less
brings no old value back; these values do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tailwart.plan.model import Action
from tailwart.stalwart.protocol.kinds import KINDS
from tailwart.stalwart.protocol.values import TYPE, Ref, at, secrets_of
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.planning import CREDENTIAL, ObjectChange


def replaced_values(changes: Iterable[ObjectChange]) -> Iterator[str]:
    """The present values of the fields that will be written, a JSON document each; none of a secret.

    Not of objects of other kinds than those that every server's plan reads: theirs come back as they are declared.
    """
    for change in changes:
        if change.action is not Action.UPDATE or change.ref.kind not in KINDS or not change.live:
            continue
        for path, value in change.values.items():
            old = at(change.live, path)
            hidden = path in change.masked or path.startswith(CREDENTIAL) or secrets_of(value) or secrets_of(old)
            # A field with a variant of its own, or a reference by id, is more than its value.
            if not hidden and path != TYPE and change.live.get(TYPE) == change.values.get(TYPE, change.live.get(TYPE)):
                yield json.dumps({"kind": change.ref.kind, "key": change.ref.key, "path": path, "old": old})


def replaced_objects(documents: Iterable[str]) -> tuple[DesiredObject, ...]:
    """The values as objects to be desired; of several for one field, the first counts: it is the oldest."""
    found: dict[Ref, dict[str, object]] = {}
    for text in documents:
        document = json.loads(text)
        fields = found.setdefault(Ref(document["kind"], document["key"]), {})
        fields.setdefault(document["path"], document["old"])
    return tuple(
        DesiredObject(ref.kind, ref.key, fields, exact=frozenset(fields), why="as before that deploy")
        for ref, fields in found.items()
    )


def with_replaced(desired: tuple[DesiredObject, ...], replaced: Sequence[DesiredObject]) -> tuple[DesiredObject, ...]:
    """The desired objects, with values from before in the fields that they do not manage."""
    if not replaced:
        return desired
    older = {item.ref: item for item in replaced}
    merged = []
    for item in desired:
        extra = older.pop(item.ref, None)
        if extra is None:
            merged.append(item)
            continue
        managed = {path.partition("/")[0] for path in item.fields} | set(item.fields)
        fields = {path: value for path, value in extra.fields.items() if path not in managed}
        merged.append(replace(item, fields={**item.fields, **fields}, exact=item.exact | set(fields)))
    return (*merged, *older.values())
