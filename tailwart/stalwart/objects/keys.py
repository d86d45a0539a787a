"""By which fields an object is recognised: what the server keeps unique, or what people tell objects apart by.

Source of the unique fields: the 0.16.18 server's own index definitions; each answers `primaryKeyViolation` for a second
object. Kinds that are not here have no unique field; they are recognised by the first of `_TOLD_APART` that they have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tailwart.stalwart.protocol.kinds import Object
from tailwart.stalwart.protocol.values import TYPE, Ref, canonical
from tailwart.stalwart.schema.model import Kind, Shape, Update

UNIQUE: Mapping[str, tuple[str, ...]] = {
    "Account": ("name", "domainId"),
    "AcmeProvider": ("directory",),
    "AllowedIp": ("address",),
    "BlockedIp": ("address",),
    "ClusterRole": ("name",),
    "DkimSignature": ("selector", "domainId"),
    "Domain": ("name",),
    "EventTracingLevel": ("event",),
    "HttpLookup": ("namespace",),
    "MailingList": ("name", "domainId"),
    "MemoryLookupKey": ("namespace", "key"),
    "MemoryLookupKeyValue": ("namespace", "key"),
    "MtaConnectionStrategy": ("name",),
    "MtaDeliverySchedule": ("name",),
    "MtaRoute": ("name",),
    "MtaTlsStrategy": ("name",),
    "MtaVirtualQueue": ("name",),
    "NetworkListener": ("name",),
    "OAuthClient": ("clientId",),
    "SieveSystemScript": ("name",),
    "SieveUserScript": ("name",),
    "SpamDnsblServer": ("name",),
    "SpamFileExtension": ("extension",),
    "SpamRule": ("name",),
    "SpamTag": ("tag",),
    "StoreLookup": ("namespace",),
}
_TOLD_APART = ("name", "description", "url", "hostname", "namespace")
_ADDRESSED = frozenset({"Account", "MailingList"})


def key_fields(kind: Kind) -> tuple[str, ...]:
    """The fields that tell objects of a kind apart; none where nothing does (tracers, certificates)."""
    if kind.name in UNIQUE:
        return UNIQUE[kind.name]
    own = {name: field for variant in kind.structure.variants.values() for name, field in variant.fields.items()}
    for name in _TOLD_APART:
        field = own.get(name)
        if field is not None and field.type.shape is Shape.STRING and field.update is not Update.SERVER_SET:
            return (name,)
    return ()


def named(kind: Kind, name: str, fields: Mapping[str, Any], domain: str) -> dict[str, Any]:
    """The fields with those that the object's name in the file stands for, where they are not given.

    An address is a name and a domain; where one text tells the objects apart, the name is that text.
    """
    given = dict(fields)
    if kind.name in _ADDRESSED:
        local, _, host = name.partition("@")
        return {"name": local.lower(), "domainId": (host or domain).lower(), **given}
    keys = key_fields(kind)
    if len(keys) == 1 and keys[0] not in given:
        return {keys[0]: name, **given}
    if kind.name in ("MemoryLookupKey", "MemoryLookupKeyValue") and "key" not in given:
        return {"key": name, **given}
    return given


def key(kind: Kind, item: Object, name_of: Callable[[str, str], str | None]) -> str | None:
    """By what a live object is known; None where nothing tells it apart. `name_of` names a referred object."""
    return _joined(kind, lambda field: _live(item, field, name_of))


def wanted(kind: Kind, fields: Mapping[str, Any]) -> str | None:
    """The same of desired fields; None when they do not say."""
    return _joined(kind, lambda field: _desired(fields.get(field)))


def _joined(kind: Kind, part: Callable[[str], str | None]) -> str | None:
    parts = [part(field) for field in key_fields(kind)]
    if not parts or any(text is None for text in parts):
        return None
    texts = [str(text) for text in parts]
    if kind.name in _ADDRESSED:
        return "@".join(texts).lower()
    return "._domainkey.".join(texts) if kind.name == "DkimSignature" else "/".join(texts)


def _live(item: Object, field: str, name_of: Callable[[str, str], str | None]) -> str | None:
    value = item.get(field)
    if value is None:
        return None
    return name_of("Domain", str(value)) if field == "domainId" else str(canonical(value))


def _desired(value: Any) -> str | None:
    if value is None or value == "":
        return None
    return value.key if isinstance(value, Ref) else str(canonical(value))


def described(item: Object) -> str:
    """A live object that nothing tells apart, for people."""
    return f"{item.get(TYPE) or 'object'} {item.get('id')}"
