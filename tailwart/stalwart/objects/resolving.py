"""The declared objects against schema, settings, notes and live objects: what is desired, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import SecretStr

from tailwart.plan.model import Action
from tailwart.stalwart.objects import declared, keys, owned
from tailwart.stalwart.objects.checking import check
from tailwart.stalwart.objects.declared import Declared
from tailwart.stalwart.objects.faults import Fault, refuse
from tailwart.stalwart.objects.identity import Found, find, foreign_names, natural_names, users_first
from tailwart.stalwart.objects.lines import Lines
from tailwart.stalwart.objects.notes import Note, Notes
from tailwart.stalwart.objects.references import References
from tailwart.stalwart.objects.shaping import Shaper
from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.values import Ref, references
from tailwart.stalwart.schema.model import Kind, Schema
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.fingerprints import Fingerprints, empty
from tailwart.stalwart.settings.inputs import MailboxSettings
from tailwart.stalwart.settings.planning import ObjectChange


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is declared, and what it is judged by. `secrets` are values of `.env` by name."""

    settings: MailboxSettings
    schema: Schema
    builtin: tuple[DesiredObject, ...]
    secrets: Mapping[str, SecretStr]
    lines: Callable[[], Lines] = Lines


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the plan is made of.

    `labels` name live objects by kind and id, `notes` is what the host's file will say, `released` are sentences on
    what is not declared any more, `variables` those that the server must have in its environment. `unfinished`: an
    interrupted run created objects whose ids the host's file lacks.
    """

    desired: tuple[DesiredObject, ...]
    labels: Mapping[tuple[str, str], str] = field(default_factory=dict)
    deletions: tuple[ObjectChange, ...] = ()
    released: tuple[str, ...] = ()
    notes: Notes = field(default_factory=dict)
    variables: frozenset[str] = frozenset()
    unfinished: bool = False


@dataclass(slots=True)
class _Object:
    """One declared object on its way."""

    declared: Declared
    kind: Kind
    fields: dict[str, Any] = field(default_factory=dict)
    key: str | None = None
    builtin: DesiredObject | None = None
    found: Found = field(default_factory=Found)
    variables: frozenset[str] = frozenset()

    @property
    def ref(self) -> Ref:
        return self.builtin.ref if self.builtin else Ref(self.kind.name, self.declared.name)


def kinds_to_read(inputs: Inputs, notes: Notes) -> tuple[str, ...]:
    """The kinds whose objects the declaration is compared with or refers to, and those of earlier declarations."""
    kinds = [ref.kind for ref in _mentioned(inputs)]
    kinds += [kind for kind, _ in notes if kind in inputs.schema.kinds]
    return tuple(dict.fromkeys(kinds))


def strangers(inputs: Inputs, kind: str) -> bool:
    """Whether objects of a kind are declared or referred to that no setting declares."""
    managed = {item.key for item in inputs.builtin if item.kind == kind}
    addressed = {"", f"@{inputs.settings.env.domain}"} if kind == "Account" else {""}
    return any(
        not managed & {f"{ref.key.lower()}{rest}" for rest in addressed}
        for ref in _mentioned(inputs)
        if ref.kind == kind
    )


def _mentioned(inputs: Inputs) -> list[Ref]:
    """The declared objects, and those that they refer to, under the names in the file."""
    items, _ = declared.read(inputs.settings.objects, inputs.schema)
    found = [Ref(item.kind, item.name) for item in items]
    for item in items:
        structure = inputs.schema.kinds[item.kind].structure
        found += sorted(references(Shaper(inputs.schema, (), {}, empty()).fields(structure, item.fields or {})))
    return found


def resolve(inputs: Inputs, live: Live, notes: Notes, fingerprints: Fingerprints) -> Resolved:
    """The desired objects of settings and of `stalwart_objects`, with the live ones that they stand for.

    `live` holds the kinds of `kinds_to_read`. Raises TailwartError that names every mistake of the declaration.
    """
    items, faults = declared.read(inputs.settings.objects, inputs.schema)
    builtin = owned.builtin_keys(inputs.schema, inputs.builtin)
    objects = [_shaped(item, inputs, fingerprints, faults) for item in items]
    # No object of a setting stands for another declaration, also where nothing tells such objects apart.
    of_settings = {(item.kind, str(found["id"])) for item in inputs.builtin if (found := live.get(item.ref))}
    faults += _find(objects, builtin, of_settings, live, notes)
    references = References(
        inputs.schema,
        _names(objects, builtin.values()),
        foreign_names(inputs.schema, live, {each.found.identity for each in objects if each.found.item}),
        natural_names(inputs.schema, live),
    )
    labels = {**references.foreign, **_labels(objects)}
    labelled = live.labelled(labels)
    for each in objects:
        faults += _refusals(each, inputs.settings)
        if each.declared.fields is not None:
            each.fields = references.resolved(each.declared.path, each.fields, faults)
            known = _live_or_builtin(each)
            faults += check(inputs.schema, each.declared, each.fields, known, labelled.resolve, exists=_exists(each))
    refuse(faults, inputs.lines())
    return _resolved(objects, inputs, labels, live, notes)


def _shaped(item: Declared, inputs: Inputs, fingerprints: Fingerprints, faults: list[Fault]) -> _Object:
    kind = inputs.schema.kinds[item.kind]
    shaper = Shaper(inputs.schema, item.path, inputs.secrets, fingerprints, faults)
    given = item.fields or {}
    fields = given if kind.singleton else keys.named(kind, item.name, given, inputs.settings.env.domain)
    made = _Object(item, kind, shaper.fields(kind.structure, fields))
    made.key = SINGLETON if kind.singleton else keys.wanted(kind, made.fields)
    made.variables = frozenset(shaper.variables)
    return made


def _find(
    objects: list[_Object],
    builtin: Mapping[tuple[str, str], DesiredObject],
    taken: set[tuple[str, str]],
    live: Live,
    notes: Notes,
) -> list[Fault]:
    """Give each object the setting's object that it is part of, or the live one that it stands for."""
    faults: list[Fault] = []
    holders: dict[tuple[str, str], Declared] = {}
    for each in objects:
        place = (each.kind.name, each.key or each.declared.name)
        if place in holders:
            faults.append(Fault(each.declared.path, f"is the same object as {holders[place].title}"))
        holders[place] = each.declared
        each.builtin = builtin.get((each.kind.name, each.key)) if each.key else None
    for each in objects:
        if each.builtin is not None:
            item = live.get(each.builtin.ref)
            each.found = Found(item, each.kind.name)
    rest = [each for each in objects if each.builtin is None]
    wishes = [
        (each.kind, each.declared.name, each.key, each.fields if each.declared.fields is not None else None)
        for each in rest
    ]
    for each, found in zip(rest, find(wishes, live, notes, taken), strict=True):
        each.found = found
        if found.ambiguous:
            faults.append(
                Fault(
                    each.declared.path,
                    f"{found.ambiguous} live objects have this {', '.join(keys.key_fields(each.kind))}; "
                    "which one is meant cannot be told: destroy the others in the admin UI",
                )
            )
    return faults


def _names(objects: Iterable[_Object], builtin: Iterable[DesiredObject]) -> dict[tuple[str, str], Ref]:
    names = {(item.kind, item.key): item.ref for item in builtin}
    for each in objects:
        if each.declared.fields is not None:
            for name in (each.declared.name, each.key):
                if name:
                    names[each.kind.name, name] = each.ref
    return names


def _refusals(each: _Object, settings: MailboxSettings) -> list[Fault]:
    """What a setting manages, and what is never deleted."""
    kind, path = each.kind.name, each.declared.path
    if each.declared.fields is None:
        if each.builtin is not None:
            return [Fault(path, f"cannot be removed: it is managed by {owned.setting(settings, each.builtin)}")]
        if kind in declared.NEVER_DELETED:
            return [Fault(path, f"is never deleted from here: {declared.NEVER_DELETED[kind]}")]
        return []
    found = []
    if each.builtin is not None:
        identity = () if each.kind.singleton else keys.key_fields(each.kind)
        own = {name: value for name, value in each.fields.items() if name not in identity}
        for name in owned.overlaps(each.builtin, own):
            text = f"is managed by {owned.setting(settings, each.builtin, name)}; set it there, and remove it here"
            found.append(Fault(path, text, (name,)))
    elif kind == "NetworkListener" and (service := owned.known_port(each.fields)):
        text = f"the port of {service} is managed by {owned.of_kind(kind)}; name the service there"
        found.append(Fault(path, text, ("bind",)))
    return found


def _exists(each: _Object) -> bool:
    return each.kind.singleton or each.builtin is not None or each.found.item is not None


def _live_or_builtin(each: _Object) -> Mapping[str, Any]:
    if each.found.item is not None:
        return each.found.item
    return {**each.builtin.at_creation, **each.builtin.fields} if each.builtin else {}


def _labels(objects: Iterable[_Object]) -> dict[tuple[str, str], str]:
    return {
        (each.kind.name, str(each.found.item["id"])): each.ref.key
        for each in objects
        if each.found.item is not None and each.declared.fields is not None
    }


def _resolved(
    objects: list[_Object], inputs: Inputs, labels: Mapping[tuple[str, str], str], live: Live, notes: Notes
) -> Resolved:
    merged: dict[Ref, DesiredObject] = {item.ref: item for item in inputs.builtin}
    deletions: list[ObjectChange] = []
    kept: dict[tuple[str, str], Note] = {}
    for each in objects:
        place, found = (each.kind.name, each.declared.name), each.found
        if each.declared.fields is None:
            if found.item is not None:
                deletions.append(
                    ObjectChange(
                        Action.DELETE, Ref(*place), str(found.item["id"]), {}, found.item, why="declared as None"
                    )
                )
            continue
        names = tuple(sorted(map(str, each.declared.fields)))
        identifier = str(found.item["id"]) if found.item is not None else ""
        made_here = found.item is None and each.builtin is None and not each.kind.singleton
        kept[place] = Note(identifier, found.created or made_here, names)
        if each.builtin is not None:
            base = merged[each.ref]
            mine = {name: value for name, value in each.fields.items() if name not in keys.key_fields(each.kind)}
            merged[each.ref] = replace(base, fields={**base.fields, **mine}, exact=base.exact | mine.keys())
        else:
            merged[each.ref] = DesiredObject(
                each.kind.name, each.declared.name, each.fields, exact=frozenset(each.fields), declared=True
            )
    released = list(_released(kept, {each.declared.path for each in objects}, notes, live))
    gone = {(each.kind.name, each.declared.name) for each in objects if each.declared.fields is None}
    still = {
        place: note for place, note in notes.items() if place not in kept and place not in gone and note.identifier
    }
    variables = frozenset(name for each in objects for name in each.variables)
    unfinished = any(
        place in notes and not notes[place].identifier and note.identifier and note.created
        for place, note in kept.items()
    )
    everything = {**still, **kept}
    return Resolved(
        tuple(merged.values()), labels, users_first(deletions), tuple(released), everything, variables, unfinished
    )


def _released(
    kept: Mapping[tuple[str, str], Note], paths: set[tuple[str, ...]], notes: Notes, live: Live
) -> Iterable[str]:
    """What was declared and is not any more: it stays as it is, and the plan says so."""
    ids = {(kind, note.identifier) for (kind, _), note in kept.items()}
    for (kind, name), note in sorted(notes.items()):
        title = kind if name == SINGLETON else f"{kind} {name}"
        now = kept.get((kind, name))
        if now is not None:
            if gone := sorted(set(note.fields) - set(now.fields)):
                yield f"{title}: {', '.join(gone)} not declared any more, and as last written"
        elif (kind, name) not in paths and (kind,) not in paths and (kind, note.identifier) not in ids:
            if not any(str(item["id"]) == note.identifier for item in live.of(kind)):
                continue
            if note.created and kind not in declared.NEVER_DELETED:
                yield f'{title}: not declared any more, still in force; to delete it, declare "{name}": None'
            else:
                yield f"{title}: not declared any more, and as last written"
