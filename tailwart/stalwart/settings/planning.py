"""Desired state against the live one: what is created, which fields are updated, what is deleted, what is unmanaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tailwart.errors import TailwartError
from tailwart.network import BY_PORT
from tailwart.plan.model import Action, Change, FieldChange, Plan
from tailwart.stalwart.protocol.effects import Effect, effects_of
from tailwart.stalwart.protocol.jmap import Call
from tailwart.stalwart.protocol.kinds import KINDS, MARK, Object, PostApply, ports
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.values import TYPE, Ref, at, differing, same, secrets_of, shown
from tailwart.stalwart.settings.desired import SMARTHOST
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.fingerprints import Checked, Fingerprints
from tailwart.stalwart.settings.terms.retired import RETIRED

CREDENTIAL = "credentials/[Password]"
"""An account's password, wherever in its list it is; what belongs to it waits until there is one."""

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
    """What to do, and what the operator is shown; falsy when there is nothing to change."""

    changes: tuple[ObjectChange, ...]
    unmanaged: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    # The declared passwords that were written before, and whether the note of them is as it should be.
    passwords: Checked = field(default_factory=lambda: Checked(frozenset(), settled=True))

    @property
    def post_apply(self) -> PostApply:
        """The heaviest post-apply action of these changes."""
        found = {row.action for row in self._effects}
        return next((action for action in reversed(PostApply) if action in found), PostApply.NOTHING)

    @property
    def _effects(self) -> tuple[Effect, ...]:
        touched = (row for change in self.changes for row in effects_of(change.ref.kind, _written(change)))
        return tuple(dict.fromkeys(touched))

    @property
    def reloads(self) -> tuple[str, ...]:
        """The orders that make the server read what these changes write."""
        return tuple(dict.fromkeys(row.reload for row in self._effects if row.action is PostApply.RELOAD))

    @property
    def orders_afterwards(self) -> tuple[Call, ...]:
        """What else must be ordered, once the server has read its objects again."""
        removed = {change.ref.kind for change in self.changes if change.action is Action.DELETE}
        return tuple(call for row in self._effects if removed & set(row.kinds) for call in row.after_removal)

    def __bool__(self) -> bool:
        return bool(self.changes)

    def document(self, live: Live) -> Plan:
        """The plan in the form that all planes share, without secrets; `live` names the objects that ids refer to."""
        names = {identifier: name for (_, identifier), name in live.names.items()}
        changes = tuple(_shown_change(change, names) for change in self.changes)
        return Plan("stalwart", changes, self.unmanaged, self.warnings, self.post_apply.value)


def _written(change: ObjectChange) -> frozenset[str]:
    """The fields that a change writes; empty for a creation or removal, which touch all of them."""
    return (
        frozenset(path.partition("/")[0] for path in change.values) if change.action is Action.UPDATE else frozenset()
    )


def plan(
    desired: Sequence[DesiredObject], live: Live, fingerprints: Fingerprints, *, all_names: bool = False
) -> SettingsPlan:
    """The changes that make the live objects as desired; with `all_names`, every unmanaged object is named.

        plan(desired(settings), Client(transport).read(), fingerprints)

    Raises TailwartError when an object of that name exists as another variant, such as a group instead of a person.
    """
    passwords = declared_passwords(desired)
    known = {name: value for name, value in passwords.items() if live.get(_ref(name)) is not None}
    checked = fingerprints.check(known)
    changes = [change for item in desired for change in _compare(item, live, fingerprints, checked.unchanged)]
    changes += _deletions(desired, live)
    return SettingsPlan(tuple(changes), _unmanaged(desired, live, changes, all_names), passwords=checked)


def declared_passwords(desired: Sequence[DesiredObject]) -> dict[str, str]:
    """Every declared password, by the name of its fingerprint."""
    return {f"{item.kind}/{item.key}": item.password.get_secret_value() for item in desired if item.password}


def _ref(name: str) -> Ref:
    kind, _, key = name.partition("/")
    return Ref(kind, key)


def _compare(
    desired: DesiredObject, live: Live, fingerprints: Fingerprints, unchanged: frozenset[str]
) -> Iterator[ObjectChange]:
    found = live.get(desired.ref)
    secret = desired.password.get_secret_value() if desired.password else None
    if found is None:
        early = {path: value for path, value in desired.fields.items() if path not in desired.late}
        if secret is None:
            early = {path: value for path, value in early.items() if not path.startswith(CREDENTIAL)}
        sent = {path: value for path, value in early.items() if path in desired.exact or _worth_sending(value)}
        values = {**desired.at_creation, **sent}
        masked = _masked(desired, values, fingerprints)
        yield ObjectChange(Action.CREATE, desired.ref, None, values, password=secret, masked=masked, why=desired.why)
        if desired.late:
            afterwards = {path: desired.fields[path] for path in sorted(desired.late)}
            yield ObjectChange(Action.UPDATE, desired.ref, None, afterwards, masked=desired.masked, late=True)
        return
    _same_variant(desired, found)
    if desired.password_once:
        secret = None
    changed = _changed(desired, found, live, bool(secret or at(found, CREDENTIAL)))
    if f"{desired.kind}/{desired.key}" in unchanged:
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
                _masked(desired, values, fingerprints),
                late,
                desired.why,
            )


def _changed(desired: DesiredObject, found: Object, live: Live, has_password: bool) -> dict[str, Any]:
    if TYPE in desired.fields and desired.fields[TYPE] != found.get(TYPE):
        # Another variant has other properties: all desired ones are sent with the new type.
        return {path: value for path, value in desired.fields.items() if path in desired.exact or _worth_sending(value)}
    changed: dict[str, Any] = {}
    for path, value in desired.fields.items():
        if path in desired.exact:
            changed |= differing(path, value, found.get(path), live.resolve)
        elif not same(value, at(found, path), live.resolve) and (has_password or not path.startswith(CREDENTIAL)):
            changed[path] = value
    return changed


def _masked(desired: DesiredObject, values: Mapping[str, Any], fingerprints: Fingerprints) -> frozenset[str]:
    """The fields that are not shown: those with a secret, and those that the last declaration had a secret in."""
    written = tuple(fingerprints.written)
    secret = {
        path
        for path, value in values.items()
        if secrets_of(value) or any(name.startswith(f"{desired.kind}/{desired.key}/{path}") for name in written)
    }
    return desired.masked | secret


def _worth_sending(value: Any) -> bool:
    """Absent values are not sent at creation: absence is the server's own default."""
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
    """Managed objects that are not desired any more; accounts, domains and mail are never among them."""
    kept = {found["id"] for item in desired if (found := live.get(item.ref)) is not None}
    for kind in (kind.name for kind in KINDS.values() if kind.retirable):
        for item in live.of(kind):
            if item["id"] not in kept and (why := RETIREMENT[kind](item, live)):
                yield ObjectChange(Action.DELETE, Ref(kind, live.key(kind, item)), str(item["id"]), {}, item, why=why)


def _retired_listener(item: Object, live: Live) -> str:
    bound = ports(item)
    if len(bound) != 1 or int(bound[0]) not in BY_PORT:
        return ""
    if sum(ports(other) == bound for other in live.of("NetworkListener")) > 1:
        return f"a second listener on port {bound[0]}: half of the connections would miss the declared settings"
    return f"{BY_PORT[int(bound[0])].name} is not in MAIL_SERVICES"


def _retired_route(item: Object, _: Live) -> str:
    managed = item.get("name") == SMARTHOST and str(item.get("description")).startswith(MARK)
    return "SMARTHOST_ADDRESS is empty" if managed else ""


def _retired_address(item: Object, _: Live) -> str:
    return "no edge has this address any more" if str(item.get("reason")).startswith(f"{MARK}: ") else ""


def _retired_signature(item: Object, live: Live) -> str:
    domain = Ref("Domain", live.key("DkimSignature", item).partition("._domainkey.")[2])
    ed25519 = live.get(domain) is not None and item.get(TYPE) == "Dkim1Ed25519Sha256"
    return "ed25519 beside RSA fails at large receivers (lesson 15)" if ed25519 else ""


RETIREMENT: Mapping[str, Callable[[Object, Live], str]] = {
    "MtaRoute": _retired_route,
    "NetworkListener": _retired_listener,
    "AllowedIp": _retired_address,
    "DkimSignature": _retired_signature,
    **RETIRED,
}
"""For each retirable kind: why a live object that is not desired is deleted; empty to leave it alone."""

_SHOWN_PER_KIND = 20


def _unmanaged(
    desired: Sequence[DesiredObject], live: Live, changes: Sequence[ObjectChange], all_names: bool
) -> tuple[str, ...]:
    """Unmanaged objects, which stay as they are; many of one kind, or those that were not read, are only counted."""
    managed = {item.ref for item in desired}
    touched = {change.object_id for change in changes}
    lines: list[str] = []
    for kind in (kind.name for kind in KINDS.values() if not (kind.singleton or kind.server_made or kind.on_demand)):
        found = sorted(
            name
            for item in live.of(kind)
            if Ref(kind, name := live.key(kind, item)) not in managed and item["id"] not in touched
        )
        if kind in live.totals:
            count = live.totals[kind] - sum(Ref(kind, live.key(kind, item)) in managed for item in live.of(kind))
            lines += [f"{kind}: {count}"] if count > 0 else []
            continue
        named = found if all_names else found[:_SHOWN_PER_KIND]
        lines += [f"{kind} {name}" for name in named]
        if len(found) > len(named):
            lines.append(f"{kind}: {len(found) - len(named)} more")
    return tuple(lines)


def _shown_change(change: ObjectChange, names: Mapping[str, str]) -> Change:
    def known(text: str) -> str:
        return names.get(text, text)

    fields = [
        FieldChange(path, _shown_live(change, path, known), shown(value, known), path in change.masked)
        for path, value in change.values.items()
        if path != TYPE or change.action is Action.UPDATE
    ]
    if change.password is not None:
        fields.append(FieldChange(PASSWORD, "" if change.live else None, "", secret=True))
    return Change(change.action, change.ref.kind, _title(change), tuple(fields), change.why)


def _title(change: ObjectChange) -> str:
    """A listener's port with its name; everything else is its key."""
    name = change.live.get("name") or change.values.get("name")
    return f"{change.ref.key} ({name})" if change.ref.kind == "NetworkListener" else change.ref.key


def _shown_live(change: ObjectChange, path: str, known: Callable[[str], str]) -> Any:
    value = at(change.live, path)
    if value is None:
        return None
    return "" if path in change.masked else shown(value, known)
