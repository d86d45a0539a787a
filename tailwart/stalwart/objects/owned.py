"""Which setting of this project manages an object or a field: two declarations of one value would undo each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tailwart.network import BY_PORT
from tailwart.stalwart.objects.keys import wanted
from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.protocol.values import TYPE
from tailwart.stalwart.schema.model import Schema
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.inputs import MailboxSettings
from tailwart.stalwart.settings.terms.model import Terms, objects

_CERTIFICATES = "ACME_DIRECTORY and ACME_DNS_PROVIDER in .env"
_ACCOUNTS = "ACCOUNTS in .env, or mailbox_accounts and mailbox_groups"
_ANY = "settings of this project"

SETTINGS: Mapping[tuple[str, str], str] = {
    ("Account", ""): _ACCOUNTS,
    ("AcmeProvider", ""): _CERTIFICATES,
    ("AllowedIp", ""): "EDGES in .env, and the tailnet's own ranges",
    ("BlobStore", ""): "S3_ENDPOINT and the other S3_… in .env",
    ("DnsServer", ""): _CERTIFICATES,
    ("Domain", ""): "DOMAIN and EXTRA_DOMAINS in .env",
    ("Domain", "certificateManagement"): _CERTIFICATES,
    ("Domain", "dkimManagement"): "this project itself: RSA only (lesson 15)",
    ("Domain", "dnsManagement"): _CERTIFICATES,
    ("InMemoryStore", ""): "REDIS_URL in .env",
    ("MailingList", ""): "mailbox_lists",
    ("Metrics", "prometheus"): "mailbox_metrics",
    ("MtaOutboundStrategy", "route"): "SMARTHOST_ADDRESS in .env",
    ("MtaRoute", ""): "mailbox_ip_lookup, and SMARTHOST_… in .env",
    ("NetworkListener", ""): "MAIL_SERVICES in .env",
    ("SpamPyzor", "enable"): "OFFLINE in .env",
    ("SystemSettings", "defaultDomainId"): "DOMAIN in .env",
    ("SystemSettings", "defaultHostname"): "DOMAIN in .env",
    ("SystemSettings", "proxyTrustedNetworks"): "this project itself: trust is per listener",
    ("Tracer", ""): "this project itself: the log of the container",
}
"""By kind and field; an empty field stands for the others and for the object itself."""


def setting(settings: MailboxSettings, item: DesiredObject, field: str = "") -> str:
    """The setting that manages a field of an object, or the object: a topic of group data, else by the table."""
    for topic in Terms.model_fields:
        only = Terms.model_construct(**{topic: getattr(settings.terms, topic)})
        for own in _of_terms(settings, only):
            if own.ref == item.ref and (not field or field in managed_fields(own)):
                return topic
    return of_kind(item.kind, field)


def of_kind(kind: str, field: str = "") -> str:
    """The setting outside group data's topics that manages a kind."""
    return SETTINGS.get((kind, field)) or SETTINGS.get((kind, ""), _ANY)


def _of_terms(settings: MailboxSettings, only: Terms) -> Iterable[DesiredObject]:
    return objects(
        only,
        services=settings.env.mail_services,
        addresses=[account.address for account in settings.accounts],
        administrators={account.address for account in settings.accounts if account.admin},
        webhooks_signed=True,
        ldap_secret=True,
    )


def builtin_keys(schema: Schema, builtin: tuple[DesiredObject, ...]) -> dict[tuple[str, str], DesiredObject]:
    """The objects that settings manage, by kind and by what tells such objects apart."""
    found: dict[tuple[str, str], DesiredObject] = {}
    for item in builtin:
        kind = schema.kinds.get(item.kind)
        key = SINGLETON if item.key == SINGLETON else kind and wanted(kind, {**item.at_creation, **item.fields})
        if key:
            found[item.kind, key] = item
    return found


def managed_fields(item: DesiredObject) -> frozenset[str]:
    """The fields of an object that are compared and repaired already; not those that are only sent at creation."""
    secret = {"credentials"} if item.kind == "Account" else set()
    return frozenset({path.partition("/")[0] for path in item.fields} | secret)


def overlaps(item: DesiredObject, fields: Mapping[str, Any]) -> Iterator[str]:
    """The declared fields that a setting manages, other than those that only say which object is meant."""
    managed = managed_fields(item)
    for name in fields:
        if name in managed and not (name == TYPE and fields[name] == {**item.at_creation, **item.fields}.get(TYPE)):
            yield name


def known_port(fields: Mapping[str, Any]) -> str:
    """The mail service whose port a declared listener binds; empty for other ports."""
    bound = fields.get("bind")
    for address in bound if isinstance(bound, frozenset) else ():
        port = str(address).rpartition(":")[2]
        if port.isdigit() and int(port) in BY_PORT:
            return BY_PORT[int(port)].name
    return ""
