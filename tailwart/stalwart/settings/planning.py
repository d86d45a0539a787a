"""Desired state against the live one: what is created, which fields are updated, what is deleted or left alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tailwart.errors import TailwartError
from tailwart.network import BY_PORT
from tailwart.plan.model import Action, Change, FieldChange, Plan
from tailwart.stalwart.protocol.live import COLLECTIONS, MARK, Live, Object, ports
from tailwart.stalwart.protocol.values import TYPE, Ref, at, same, shown
from tailwart.stalwart.settings.desired import SMARTHOST, DesiredObject
from tailwart.stalwart.settings.fingerprints import Fingerprints
from tailwart.stalwart.settings.post_apply import PostApply, of_operations

PASSWORD = "password"  # noqa: S105 - the name of a field, not a password


@dataclass(frozen=True, slots=True)
class ObjectChange:
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

    operations: tuple[ObjectChange, ...]
    unmanaged: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    consequence: PostApply = PostApply.NOTHING

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


def plan(desired: Sequence[DesiredObject], live: Live, fingerprints: Fingerprints) -> SettingsPlan:
    """Compare; raises TailwartError where going on would be unsafe."""
    operations = [operation for item in desired for operation in _compare(item, live, fingerprints)]
    operations += _deletions(desired, live)
    return SettingsPlan(tuple(operations), _unmanaged(desired, live, operations), (), of_operations(operations))


def _compare(desired: DesiredObject, live: Live, fingerprints: Fingerprints) -> Iterator[ObjectChange]:
    found = live.get(desired.ref)
    secret = desired.password.get_secret_value() if desired.password else None
    if found is None:
        early = {path: value for path, value in desired.fields.items() if path not in desired.late}
        values = {**desired.at_creation, **{path: value for path, value in early.items() if _worth_sending(value)}}
        yield ObjectChange(
            Action.CREATE, desired.ref, None, values, password=secret, masked=desired.masked, why=desired.why
        )
        if desired.late:
            afterwards = {path: desired.fields[path] for path in sorted(desired.late)}
            yield ObjectChange(Action.UPDATE, desired.ref, None, afterwards, masked=desired.masked, late=True)
        return
    _same_variant(desired, found)
    changed = _changed(desired, found, live)
    if secret is not None and fingerprints.matches(f"{desired.kind}/{desired.key}", secret):
        secret = None
    for late in (False, True):
        values = {path: value for path, value in changed.items() if (path in desired.late) is late}
        password = None if late else secret
        if values or password is not None:
            yield ObjectChange(
                Action.UPDATE,
                desired.ref,
                str(found["id"]),
                values,
                found,
                password,
                desired.masked,
                late,
                desired.why,
            )


def _changed(desired: DesiredObject, found: Object, live: Live) -> dict[str, Any]:
    if TYPE in desired.fields and desired.fields[TYPE] != found.get(TYPE):
        # Another variant has other properties: all of ours are sent with the new type.
        return {path: value for path, value in desired.fields.items() if _worth_sending(value)}
    return {path: value for path, value in desired.fields.items() if not same(value, at(found, path), live.resolve)}


def _worth_sending(value: Any) -> bool:
    """At creation absent values are left out: the server's own default is absence."""
    return value is not None and value not in ((), frozenset())


def _same_variant(desired: DesiredObject, found: Object) -> None:
    variant = desired.at_creation.get(TYPE)
    if variant is not None and found.get(TYPE) not in (None, variant):
        raise TailwartError(
            f"{desired.kind} {desired.key} exists as another kind of object",
            seen=f"{found.get(TYPE)} on the server",
            expected=str(variant),
            remedy="choose another address in .env or group_data/mailbox.py, or remove the object on the server",
        )


def _deletions(desired: Sequence[DesiredObject], live: Live) -> Iterator[ObjectChange]:
    """Objects of ours that are not desired any more; accounts, domains and mail are never among them."""
    kept = {found["id"] for item in desired if (found := live.get(item.ref)) is not None}
    for kind, reason in _RETIRED.items():
        for item in live.of(kind):
            if item["id"] not in kept and (why := reason(item, live)):
                yield ObjectChange(Action.DELETE, Ref(kind, live.key(kind, item)), str(item["id"]), {}, item, why=why)


def _retired_listener(item: Object, live: Live) -> str:
    bound = ports(item)
    if len(bound) != 1 or int(bound[0]) not in BY_PORT:
        return ""
    if sum(ports(other) == bound for other in live.of("NetworkListener")) > 1:
        return f"a second listener on port {bound[0]}: half of the connections would miss our settings"
    return f"{BY_PORT[int(bound[0])].name} is not in MAIL_SERVICES"


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


def _unmanaged(desired: Sequence[DesiredObject], live: Live, operations: Sequence[ObjectChange]) -> tuple[str, ...]:
    """Foreign objects, which stay as they are; many of one kind are counted rather than listed."""
    known = {item.ref for item in desired}
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


def _change(operation: ObjectChange, names: Mapping[str, str]) -> Change:
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


def _title(operation: ObjectChange) -> str:
    """A listener's port with its name; everything else is its key."""
    name = operation.live.get("name") or operation.values.get("name")
    return f"{operation.ref.key} ({name})" if operation.ref.kind == "NetworkListener" else operation.ref.key


def _hidden(path: str, operation: ObjectChange) -> bool:
    return path in operation.masked


def _shown_live(value: Any, path: str, operation: ObjectChange, known: Any) -> Any:
    return None if value is None else "" if _hidden(path, operation) else shown(value, known)
