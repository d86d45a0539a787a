"""`stalwart_objects` as it is written: kinds, in them objects by name, in them fields.

stalwart_objects = {
    "Email": {"maxMessageSize": "50M"},                                 # a kind with one object: its fields
    "SieveSystemScript": {"invoices": {"contents": SCRIPT}},            # every other kind: objects by name
    "WebHook": {"old-alerts": None},                                    # must not exist
}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tailwart.stalwart.objects.faults import Fault
from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.schema.model import Schema, listed, nearest

NAME = "stalwart_objects"

# Kinds that are no settings, and what to use instead.
NOT_SETTINGS: Mapping[str, str] = {
    "AccountPassword": "each person's own; `tailwart account passwd`",
    "AccountSettings": "each person's own",
    "Action": "an order, not a setting; `tailwart settings apply` gives those that are due",
    "ApiKey": "a login that the server makes up; create it in the admin UI",
    "AppPassword": "a login that the server makes up",
    "ArchivedItem": "mail",
    "ArfExternalReport": "a received report",
    "Bootstrap": "the deploy does what it is for",
    "ClusterNode": "written by the nodes themselves",
    "DataStore": "STALWART_STORE and STALWART_DB_… in .env: it is in config.json",
    "DmarcExternalReport": "a received report",
    "DmarcInternalReport": "a report that waits to be sent",
    "Log": "the server's log",
    "Metric": "measurements",
    "QueuedMessage": "mail",
    "SpamTrainingSample": "mail",
    "Task": "an order, not a setting",
    "TlsExternalReport": "a received report",
    "TlsInternalReport": "a report that waits to be sent",
    "Trace": "measurements",
}

# Destroying one of these destroys mail, or what mail is addressed to.
NEVER_DELETED: Mapping[str, str] = {
    "Account": "its mail would be gone at once; disable it with `tailwart account disable`",
    "Domain": "every address in it would be gone; disable it with isEnabled: False",
    "MailingList": "mail to its address would be refused; destroy it in the admin UI",
    "Tenant": "everything that belongs to it would be affected; destroy it in the admin UI",
}


@dataclass(frozen=True, slots=True)
class Declared:
    """One declared object; `fields` None: it must not exist. `name` is that of `stalwart_objects`, not the server's."""

    kind: str
    name: str
    fields: Mapping[str, Any] | None

    @property
    def path(self) -> tuple[str, ...]:
        """Where it stands in the mapping."""
        return (self.kind,) if self.name == SINGLETON else (self.kind, self.name)

    @property
    def title(self) -> str:
        return " ".join(self.path)


def read(value: Any, schema: Schema) -> tuple[list[Declared], list[Fault]]:
    """The declared objects, and what is wrong with their form."""
    if not isinstance(value, Mapping):
        return [], [Fault((), f"a {type(value).__name__}; expected a mapping of kinds to their objects")]
    objects: list[Declared] = []
    faults: list[Fault] = []
    for kind, content in value.items():
        for item in _kind(str(kind), content, schema):
            if isinstance(item, Fault):
                faults.append(item)
            else:
                objects.append(item)
    return objects, faults


def _kind(kind: str, content: Any, schema: Schema) -> Iterator[Declared | Fault]:
    known = schema.kinds.get(kind)
    if known is None:
        yield _unknown(kind, schema)
    elif kind in NOT_SETTINGS:
        yield Fault((kind,), f"cannot be declared: {NOT_SETTINGS[kind]}")
    elif not isinstance(content, Mapping):
        wanted = "its fields" if known.singleton else "names to fields"
        yield Fault((kind,), f"a {type(content).__name__}; expected a mapping of {wanted}")
    elif known.singleton:
        yield Declared(kind, SINGLETON, content)
    else:
        for name, fields in content.items():
            if not isinstance(name, str) or not name.strip():
                yield Fault((kind, str(name)), "expected a name that is a text")
            elif fields is not None and not isinstance(fields, Mapping):
                yield Fault(
                    (kind, name),
                    f"a {type(fields).__name__}; expected a mapping of fields, or None for an object that must not "
                    f"exist; {kind} is a kind with many objects: kind → name → fields",
                )
            else:
                yield Declared(kind, name, fields)


def _unknown(kind: str, schema: Schema) -> Fault:
    plain = kind.removeprefix("x:")
    if (known := schema.views.get(plain, plain.partition("/")[0])) in schema.kinds and "/" in plain:
        return Fault((kind,), f"the server's second name for {known}; use that")
    if plain in schema.kinds:
        return Fault((kind,), f"unknown kind; write {plain}, without the prefix")
    near = nearest(plain, [name for name in schema.kinds if name not in NOT_SETTINGS])
    hint = f"; did you mean {near}?" if near else f"; known are {listed(sorted(schema.kinds))}"
    return Fault((kind,), f"unknown kind{hint}; `tailwart settings describe` lists all")
