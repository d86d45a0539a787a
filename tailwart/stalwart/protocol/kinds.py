"""The kinds of objects that the settings plane reads and writes: one table, from which everything else is derived.

A new kind is one entry in `KINDS` and its desired object in `settings/desired.py`. The entry says under which name the
object is recognised when it is created again, what must follow a write, and whether a plan may delete it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tailwart.stalwart.protocol.effects import PostApply, post_apply_of
from tailwart.stalwart.protocol.jmap import SINGLETON, Call
from tailwart.stalwart.protocol.values import TYPE, canonical, members_of

MARK = "tailwart"
"""Begins a free text of every managed object that has one: it distinguishes managed from unmanaged objects."""

WEBHOOK_HEADER = "X-Tailwart-Webhook"
"""Carries the name of a webhook of ours: that kind has neither a name nor a description."""

Object = Mapping[str, Any]
"""One object as the server returns it."""


Key = Callable[[Object, Mapping[str, str]], str]
"""An object's natural key; the second argument maps domain ids to domain names."""


def ports(item: Object) -> tuple[str, ...]:
    """The ports that a listener binds, as text."""
    return tuple(sorted({address.rpartition(":")[2] for address in members_of(item.get("bind"))}))


def _property(name: str) -> Key:
    return lambda item, _: str(item.get(name))


_name = _property("name")


def _address(item: Object, domains: Mapping[str, str]) -> str:
    return str(item.get("emailAddress") or f"{item.get('name')}@{_domain(item, domains)}").lower()


def _signature(item: Object, domains: Mapping[str, str]) -> str:
    return f"{item.get('selector')}._domainkey.{_domain(item, domains)}"


def _domain(item: Object, domains: Mapping[str, str]) -> str:
    return domains.get(str(item.get("domainId")), "?")


def _listener(item: Object, _: Mapping[str, str]) -> str:
    return ",".join(ports(item)) or str(item.get("name"))


def _network(item: Object, _: Mapping[str, str]) -> str:
    return str(canonical(f"{item.get('address')}"))


def _described(item: Object, _: Mapping[str, str]) -> str:
    description = str(item.get("description"))
    return description.removeprefix(f"{MARK}: ") if description.startswith(MARK) else f"«{description}»"


def _webhook(item: Object, _: Mapping[str, str]) -> str:
    return str((item.get("httpHeaders") or {}).get(WEBHOOK_HEADER) or f"«{item.get('url')}»")


@dataclass(frozen=True, slots=True)
class Kind:
    """What the settings plane knows of one kind.

    `key` stays the same when an object is created again. What a write brings about is in `protocol/effects.py`. A plan
    deletes objects of `retirable` kinds only, by the rules of `settings/planning.py`.
    The server creates objects of `server_made` kinds by itself: they are neither exported nor listed as unmanaged.
    An `on_demand` kind is read only by installations that declare one of its objects: a reading stays one request, and
    the hundreds of objects that the server brings along (spam rules) are not listed as unmanaged.
    """

    name: str
    key: Key = _name
    singleton: bool = False
    retirable: bool = False
    server_made: bool = False
    on_demand: bool = False

    def read(self) -> Call:
        """The call that reads every object of this kind."""
        return Call(self.name, "get", {"ids": [SINGLETON] if self.singleton else None})

    def post_apply_of(self, fields: Iterable[str]) -> PostApply:
        """The post-apply action of a write to these fields."""
        return post_apply_of(self.name, frozenset(fields))


# Read and written where the operator's terms name one of their settings (settings/terms).
_DECLARED_SINGLETONS = (
    "Authentication",
    "DataRetention",
    "DmarcReportSettings",
    "DnsResolver",
    "Email",
    "Imap",
    "Jmap",
    "MtaStageAuth",
    "MtaStageConnect",
    "MtaStageData",
    "MtaStageEhlo",
    "MtaStageMail",
    "MtaStageRcpt",
    "MtaSts",
    "ReportSettings",
    "Search",
    "Sharing",
    "SpamSettings",
    "TlsReportSettings",
)

# Each kind comes after those it refers to: the export is carried out in the order of its lines.
_KINDS = (
    Kind("DnsServer", _described),
    Kind("AcmeProvider", _property("directory")),
    Kind("Domain"),
    Kind("Account", _address),
    Kind("MailingList", _address),
    Kind("DkimSignature", _signature, retirable=True, server_made=True),
    Kind("NetworkListener", _listener, retirable=True),
    Kind("MtaRoute", retirable=True),
    Kind("AllowedIp", _network, retirable=True),
    Kind("Tracer", _property(TYPE)),
    Kind("SystemSettings", singleton=True),
    Kind("BlobStore", singleton=True),
    Kind("InMemoryStore", singleton=True),
    Kind("MtaOutboundStrategy", singleton=True),
    Kind("Metrics", singleton=True),
    Kind("Http", singleton=True),
    Kind("Security", singleton=True),
    Kind("SpamPyzor", singleton=True),
    Kind("PublicKey", _described, retirable=True, on_demand=True),
    Kind("Directory", _described, retirable=True, on_demand=True),
    Kind("SieveSystemScript", retirable=True, on_demand=True),
    Kind("SieveUserScript", retirable=True, on_demand=True),
    Kind("SpamRule", retirable=True, on_demand=True),
    Kind("SpamTag", _property("tag"), retirable=True, on_demand=True),
    Kind("SpamDnsblServer", retirable=True, on_demand=True),
    Kind("MtaInboundThrottle", _property("description"), retirable=True, on_demand=True),
    Kind("MtaOutboundThrottle", _property("description"), retirable=True, on_demand=True),
    Kind("WebHook", _webhook, retirable=True, on_demand=True),
    *(Kind(name, singleton=True, on_demand=True) for name in _DECLARED_SINGLETONS),
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}
"""By name, in an order in which each kind comes after those it refers to."""

READ: tuple[Call, ...] = tuple(kind.read() for kind in _KINDS if not kind.on_demand)
"""The calls that read what every installation has."""


def reads(kinds: Iterable[str]) -> tuple[Call, ...]:
    """The calls that read what every installation has, and all objects of these kinds."""
    declared = set(kinds)
    return tuple(kind.read() for kind in _KINDS if not kind.on_demand or kind.name in declared)


REFERENCES: Mapping[str, str] = {
    "domainId": "Domain",
    "defaultDomainId": "Domain",
    "memberGroupIds": "Account",
    "acmeProviderId": "AcmeProvider",
    "dnsServerId": "DnsServer",
}
"""Properties that hold the id of another object, and the kind of that object."""
