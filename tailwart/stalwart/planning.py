"""Desired state against the live one: what is created, which fields are updated, what is deleted or left alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tailwart.errors import TailwartError
from tailwart.plan.model import Action, Change, FieldChange, Plan
from tailwart.stalwart.consequence import Consequence, of_operations
from tailwart.stalwart.desired import LISTENERS, OPTIONAL, SMARTHOST, Wanted
from tailwart.stalwart.fingerprints import Fingerprints
from tailwart.stalwart.live import COLLECTIONS, Live, Object, ports
from tailwart.stalwart.names import MARK
from tailwart.stalwart.values import TYPE, Ref, at, same, shown

PASSWORD = "password"  # noqa: S105 - the name of a field, not a password


@dataclass(frozen=True, slots=True)
class Operation:
    """One object's change, still in the operator's terms; `values` by property path."""

    action: Action
    ref: Ref
    object_id: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    live: Object = field(default_factory=dict)
    password: str | None = None
    masked: frozenset[str] = frozenset()
    late: bool = False
    why: str = ""

    @property
    def secret_name(self) -> str:
        """Under which name the fingerprint of the password is kept."""
        return f"{self.ref.kind}/{self.ref.key}"


@dataclass(frozen=True, slots=True)
class SettingsPlan:
    """What to do, and what the operator is shown."""

    operations: tuple[Operation, ...]
    unmanaged: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    consequence: Consequence = Consequence.NOTHING

    def __bool__(self) -> bool:
        return bool(self.operations)

    def document(self, live: Live) -> Plan:
        """The plan in the shape that all planes share, secrets left out."""
        names = {identifier: name for (_, identifier), name in live.names.items()}
        return Plan(
            "stalwart",
            tuple(_change(operation, names) for operation in self.operations),
            self.unmanaged,
            self.warnings,
            self.consequence.value if self.operations else "",
        )


def plan(wanted: Sequence[Wanted], live: Live, fingerprints: Fingerprints) -> SettingsPlan:
    """Compare; raises TailwartError where going on would be unsafe."""
    operations = [operation for item in wanted for operation in _compare(item, live, fingerprints)]
    operations += _deletions(wanted, live)
    return SettingsPlan(tuple(operations), _unmanaged(wanted, live, operations), (), of_operations(operations))


def _compare(wanted: Wanted, live: Live, fingerprints: Fingerprints) -> Iterator[Operation]:
    found = live.get(wanted.ref)
    secret = wanted.password.get_secret_value() if wanted.password else None
    if found is None:
        early = {path: value for path, value in wanted.fields.items() if path not in wanted.late}
        values = {**wanted.at_creation, **{path: value for path, value in early.items() if _worth_sending(value)}}
        yield Operation(Action.CREATE, wanted.ref, None, values, password=secret, masked=wanted.masked, why=wanted.why)
        if wanted.late:
            afterwards = {path: wanted.fields[path] for path in sorted(wanted.late)}
            yield Operation(Action.UPDATE, wanted.ref, None, afterwards, masked=wanted.masked, late=True)
        return
    _same_variant(wanted, found)
    changed = _changed(wanted, found, live)
    if secret is not None and fingerprints.matches(f"{wanted.kind}/{wanted.key}", secret):
        secret = None
    for late in (False, True):
        values = {path: value for path, value in changed.items() if (path in wanted.late) is late}
        password = None if late else secret
        if values or password is not None:
            yield Operation(
                Action.UPDATE,
                wanted.ref,
                str(found["id"]),
                values,
                found,
                password,
                wanted.masked,
                late,
                wanted.why,
            )


def _changed(wanted: Wanted, found: Object, live: Live) -> dict[str, Any]:
    if TYPE in wanted.fields and wanted.fields[TYPE] != found.get(TYPE):
        # Another variant has other properties: all of ours are sent with the new type.
        return {path: value for path, value in wanted.fields.items() if _worth_sending(value)}
    return {path: value for path, value in wanted.fields.items() if not same(value, at(found, path), live.resolve)}


def _worth_sending(value: Any) -> bool:
    """At creation absent values are left out: the server's own default is absence."""
    return value is not None and value not in ((), frozenset())


def _same_variant(wanted: Wanted, found: Object) -> None:
    variant = wanted.at_creation.get(TYPE)
    if variant is not None and found.get(TYPE) not in (None, variant):
        raise TailwartError(
            f"{wanted.kind} {wanted.key} exists as another kind of object",
            seen=f"{found.get(TYPE)} on the server",
            expected=str(variant),
            remedy="choose another address in .env or group_data/mailbox.py, or remove the object on the server",
        )


def _deletions(wanted: Sequence[Wanted], live: Live) -> Iterator[Operation]:
    """Objects of ours that are not wanted any more; accounts, domains and mail are never among them."""
    kept = {found["id"] for item in wanted if (found := live.get(item.ref)) is not None}
    for kind, reason in _RETIRED.items():
        for item in live.of(kind):
            if item["id"] not in kept and (why := reason(item, live)):
                yield Operation(Action.DELETE, Ref(kind, live.key(kind, item)), str(item["id"]), {}, item, why=why)


_PORTS = frozenset(str(listener.port) for listener in (*LISTENERS, *OPTIONAL))
_OPTIONAL_PORTS = {str(listener.port): listener.name for listener in OPTIONAL}


def _retired_listener(item: Object, _: Live) -> str:
    bound = ports(item)
    if len(bound) != 1 or bound[0] not in _PORTS:
        return ""
    if bound[0] in _OPTIONAL_PORTS:
        return f"{_OPTIONAL_PORTS[bound[0]]} is not in mailbox_optional_listeners"
    return f"a second listener on port {bound[0]}: half of the connections would miss our settings"


def _retired_route(item: Object, _: Live) -> str:
    ours = item.get("name") == SMARTHOST and str(item.get("description")).startswith(MARK)
    return "SMARTHOST_ADDRESS is empty" if ours else ""


def _retired_address(item: Object, _: Live) -> str:
    return "no edge has this address any more" if str(item.get("reason")).startswith(f"{MARK}: ") else ""


def _retired_signature(item: Object, live: Live) -> str:
    ours = Ref("Domain", live.key("DkimSignature", item).partition("._domainkey.")[2])
    managed = live.get(ours) is not None and item.get(TYPE) == "Dkim1Ed25519Sha256"
    return "ed25519 beside RSA fails at large receivers (lesson 15)" if managed else ""


_RETIRED = {
    "MtaRoute": _retired_route,
    "NetworkListener": _retired_listener,
    "AllowedIp": _retired_address,
    "DkimSignature": _retired_signature,
}
_SHOWN_PER_KIND = 20


def _unmanaged(wanted: Sequence[Wanted], live: Live, operations: Sequence[Operation]) -> tuple[str, ...]:
    """Foreign objects, which stay as they are; many of one kind are counted rather than listed."""
    known = {item.ref for item in wanted}
    touched = {operation.object_id for operation in operations}
    lines: list[str] = []
    for kind in COLLECTIONS:
        if kind == "DkimSignature":
            continue
        foreign = sorted(
            name
            for item in live.of(kind)
            if Ref(kind, name := live.key(kind, item)) not in known and item["id"] not in touched
        )
        lines += [f"{kind} {name}" for name in foreign[:_SHOWN_PER_KIND]]
        if len(foreign) > _SHOWN_PER_KIND:
            lines.append(f"{kind}: {len(foreign) - _SHOWN_PER_KIND} more")
    return tuple(lines)


def _change(operation: Operation, names: Mapping[str, str]) -> Change:
    def known(text: str) -> str:
        return names.get(text, text)

    fields = [
        FieldChange(
            path,
            _shown_live(at(operation.live, path), path, operation, known),
            shown(value, known),
            _hidden(path, operation),
        )
        for path, value in operation.values.items()
        if path != TYPE or operation.action is Action.UPDATE
    ]
    if operation.password is not None:
        fields.append(FieldChange(PASSWORD, "" if operation.live else None, "", secret=True))
    return Change(operation.action, operation.ref.kind, _title(operation), tuple(fields), operation.why)


def _title(operation: Operation) -> str:
    """A listener's port with its name; everything else is its key."""
    name = operation.live.get("name") or operation.values.get("name")
    return f"{operation.ref.key} ({name})" if operation.ref.kind == "NetworkListener" else operation.ref.key


def _hidden(path: str, operation: Operation) -> bool:
    return path in operation.masked


def _shown_live(value: Any, path: str, operation: Operation, known: Any) -> Any:
    return None if value is None else "" if _hidden(path, operation) else shown(value, known)
