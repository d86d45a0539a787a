"""The desired objects: a pure function from the operator's input to Stalwart's objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from tailwart.mailbox import names
from tailwart.network import TAILNET_RANGES
from tailwart.providers.definition import DnsField, Variable
from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.protocol.live import MARK
from tailwart.stalwart.protocol.values import TYPE, Bag, Ref, canonical
from tailwart.stalwart.settings.inputs import AccountInput, GroupInput, ListInput, MailboxSettings


@dataclass(frozen=True, slots=True)
class DesiredObject:
    """One object as it shall be.

    `fields` are owned: compared and repaired, by property or property path. `at_creation` is sent once and then left to
    whoever changes it. `late` fields wait until the server has been restarted (see `deferred` in `apply`). `masked`
    fields are never shown. `password` is compared by fingerprint, since the server only gives back `****`.
    """

    kind: str
    key: str
    fields: Mapping[str, Any]
    at_creation: Mapping[str, Any] = field(default_factory=dict)
    late: frozenset[str] = frozenset()
    masked: frozenset[str] = frozenset()
    password: SecretStr | None = None
    why: str = ""

    @property
    def ref(self) -> Ref:
        return Ref(self.kind, self.key)


def desired(settings: MailboxSettings) -> tuple[DesiredObject, ...]:
    """All objects, in an order in which each comes after those it refers to."""
    return tuple(_objects(settings))


def _objects(settings: MailboxSettings) -> Iterator[DesiredObject]:
    yield from _certificates(settings)
    yield from (_domain(settings, name) for name in settings.domains)
    yield from (_group(group) for group in settings.groups)
    yield from (_account(settings, account) for account in settings.accounts)
    yield from (_mailing_list(item) for item in settings.lists)
    yield from _listeners(settings)
    yield _system(settings)
    yield from _routing(settings)
    yield from _allowed(settings)
    yield from _stores(settings)
    yield from _observation(settings)
    yield DesiredObject("SpamPyzor", SINGLETON, {"enable": not settings.offline})


RSA_ONLY = {TYPE: "Automatic", "algorithms": frozenset({"Dkim1RsaSha256"})}


def _domain(settings: MailboxSettings, name: str) -> DesiredObject:
    fields: dict[str, Any] = {"isEnabled": True, "dkimManagement": RSA_ONLY}
    if settings.acme:
        # One wildcard for the domain and its names (lesson 4); an empty set of further names means just that.
        fields["certificateManagement"] = {
            TYPE: "Automatic",
            "acmeProviderId": Ref("AcmeProvider", settings.acme.directory),
            "subjectAlternativeNames": frozenset(),
        }
        # Stalwart publishes the kind it rotates itself; every other record is the dns role's.
        fields["dnsManagement"] = {
            TYPE: "Automatic",
            "dnsServerId": Ref("DnsServer", settings.acme.dns.provider),
            "publishRecords": frozenset({"dkim"}),
        }
    # An ACME order that a restart interrupts leaves its task locked: orders start when the server stays up.
    late = frozenset({"certificateManagement", "dnsManagement"}) & fields.keys()
    return DesiredObject("Domain", name, fields, at_creation={"name": name}, late=frozenset(late))


def _certificates(settings: MailboxSettings) -> Iterator[DesiredObject]:
    if not settings.acme:
        return
    dns = settings.acme.dns
    yield DesiredObject(
        "DnsServer",
        dns.provider,
        {TYPE: dns.variant, **{name: _dns_field(value) for name, value in dns.fields.items()}},
        at_creation={"description": _mark(dns.provider)},
        masked=frozenset(name for name, value in dns.fields.items() if isinstance(value, SecretStr)),
    )
    yield DesiredObject(
        "AcmeProvider",
        settings.acme.directory,
        {"contact": frozenset({settings.acme.contact}), "challengeType": "Dns01"},
        at_creation={"directory": settings.acme.directory},
    )


def _account(settings: MailboxSettings, account: AccountInput) -> DesiredObject:
    name, _, domain = account.address.partition("@")
    fields: dict[str, Any] = {
        "name": name,
        "domainId": Ref("Domain", domain),
        "aliases": _aliases(account.aliases),
        "quotas/maxDiskQuota": account.quota_bytes,
        "roles": {TYPE: "Admin" if account.admin else "User"},
        "memberGroupIds": frozenset(
            Ref("Account", group.address) for group in settings.groups if account.address in group.members
        ),
    }
    if account.description is not None:
        fields["description"] = account.description
    return DesiredObject("Account", account.address, fields, at_creation={TYPE: "User"}, password=account.password)


def _group(group: GroupInput) -> DesiredObject:
    name, _, domain = group.address.partition("@")
    return DesiredObject(
        "Account",
        group.address,
        {
            "name": name,
            "domainId": Ref("Domain", domain),
            "aliases": _aliases(group.aliases),
            "description": group.description,
        },
        at_creation={TYPE: "Group"},
    )


def _mailing_list(item: ListInput) -> DesiredObject:
    name, _, domain = item.address.partition("@")
    return DesiredObject(
        "MailingList",
        item.address,
        {
            "name": name,
            "domainId": Ref("Domain", domain),
            "aliases": _aliases(item.aliases),
            "recipients": frozenset(item.recipients),
            "description": item.description,
        },
    )


def _aliases(addresses: tuple[str, ...]) -> Bag:
    pairs = (address.partition("@") for address in addresses)
    return Bag({"name": name, "domainId": Ref("Domain", domain), "enabled": True} for name, _, domain in pairs)


@dataclass(frozen=True, slots=True)
class Listener:
    """One of the listeners this project knows; `proxied` ones are reached through an edge's PROXY header."""

    name: str
    port: int
    protocol: str
    tls_implicit: bool = False
    use_tls: bool = True
    proxied: bool = False


LISTENERS = (
    Listener("smtp", 25, "smtp", proxied=True),
    Listener("submissions", 465, "smtp", tls_implicit=True, proxied=True),
    Listener("submission", 587, "smtp", proxied=True),
    Listener("imap", 143, "imap", proxied=True),
    Listener("imaps", 993, "imap", tls_implicit=True, proxied=True),
    # The edge passes :443 through untouched and without a PROXY header, and 8080 is asked directly: demanding the
    # header there would shut out both.
    Listener("https", 443, "http", tls_implicit=True),
    Listener("http", 8080, "http", use_tls=False),
)
OPTIONAL = (
    Listener("pop3s", 995, "pop3", tls_implicit=True),
    Listener("managesieve", 4190, "manageSieve"),
)


def _listeners(settings: MailboxSettings) -> Iterator[DesiredObject]:
    for listener in (*LISTENERS, *(item for item in OPTIONAL if item.name in settings.optional_listeners)):
        yield DesiredObject(
            "NetworkListener",
            str(listener.port),
            {
                "bind": frozenset({f"[::]:{listener.port}"}),
                "protocol": listener.protocol,
                "useTls": listener.use_tls,
                "tlsImplicit": listener.tls_implicit,
                "overrideProxyTrustedNetworks": frozenset(TAILNET_RANGES if listener.proxied else ()),
            },
            at_creation={"name": listener.name},
        )


def _system(settings: MailboxSettings) -> DesiredObject:
    return DesiredObject(
        "SystemSettings",
        SINGLETON,
        {
            "defaultHostname": settings.hostname,
            "defaultDomainId": Ref("Domain", settings.domains[0]),
            # Global trust would make 8080 and 443 demand a PROXY header as well: kept empty, and repaired.
            "proxyTrustedNetworks": frozenset(),
        },
    )


SMARTHOST = "smarthost"


def _routing(settings: MailboxSettings) -> Iterator[DesiredObject]:
    # Without these two nothing is delivered locally or directly. A store that was first set up in recovery mode lacks
    # them, since the server adds defaults only to kinds that are empty at a normal start.
    yield DesiredObject("MtaRoute", "local", {TYPE: "Local"}, at_creation={"name": "local"})
    yield DesiredObject(
        "MtaRoute", "mx", {TYPE: "Mx", "ipLookupStrategy": settings.ip_lookup}, at_creation={"name": "mx"}
    )
    smarthost = settings.smarthost
    if smarthost:
        secret = _environment(names.ENV_SMARTHOST) if smarthost.has_password else {TYPE: "None"}
        yield DesiredObject(
            "MtaRoute",
            SMARTHOST,
            {
                TYPE: "Relay",
                "address": smarthost.address,
                "port": smarthost.port,
                "protocol": "smtp",
                "implicitTls": smarthost.implicit_tls,
                "allowInvalidCerts": smarthost.allow_invalid_certs,
                "authUsername": smarthost.username,
                "authSecret": secret,
            },
            at_creation={"name": SMARTHOST, "description": _mark("smarthost")},
        )
    yield DesiredObject(
        "MtaOutboundStrategy",
        SINGLETON,
        {
            "route": {
                "match": ({"if": "is_local_domain(rcpt_domain)", "then": "'local'"},),
                "else": f"'{SMARTHOST if smarthost else 'mx'}'",
            }
        },
    )


def _allowed(settings: MailboxSettings) -> Iterator[DesiredObject]:
    """Addresses that the auto-ban must never hit (lesson 3): a banned edge still relays but cannot reach 8080."""
    for network in TAILNET_RANGES:
        yield DesiredObject("AllowedIp", network, {}, at_creation={"address": network, "reason": _mark("tailnet")})
    seen = set(TAILNET_RANGES)
    for edge, addresses in settings.edges.items():
        for address in addresses:
            if address not in seen:
                yield DesiredObject(
                    "AllowedIp", canonical(address), {}, at_creation={"address": address, "reason": _mark(edge)}
                )
            seen.add(address)


def _stores(settings: MailboxSettings) -> Iterator[DesiredObject]:
    if settings.s3:
        yield DesiredObject(
            "BlobStore",
            SINGLETON,
            {
                TYPE: "S3",
                "bucket": settings.s3.bucket,
                "region": {
                    TYPE: "Custom",
                    "customEndpoint": settings.s3.endpoint,
                    "customRegion": settings.s3.region,
                },
                "accessKey": settings.s3.access_key,
                "secretKey": _environment(names.ENV_S3),
            },
        )
    else:
        yield DesiredObject("BlobStore", SINGLETON, {TYPE: "Default"})
    if settings.redis_url:
        with_login = "@" in settings.redis_url
        yield DesiredObject(
            "InMemoryStore",
            SINGLETON,
            {TYPE: "Redis", "url": settings.redis_url},
            masked=frozenset({"url"} if with_login else ()),
        )
    else:
        yield DesiredObject("InMemoryStore", SINGLETON, {TYPE: "Default"})


def _observation(settings: MailboxSettings) -> Iterator[DesiredObject]:
    # The default tracer writes to a directory that the image may lack: without this one `docker logs` stays empty.
    yield DesiredObject(
        "Tracer",
        "Stdout",
        {"enable": True, "level": "info", "ansi": False},
        at_creation={TYPE: "Stdout", "events": frozenset(), "eventsPolicy": "exclude"},
    )
    yield DesiredObject("Metrics", SINGLETON, {"prometheus": {TYPE: "Enabled" if settings.metrics else "Disabled"}})


def _dns_field(value: DnsField) -> Any:
    if isinstance(value, Variable):
        return _environment(value.name)
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _environment(variable: str) -> Mapping[str, str]:
    return {TYPE: "EnvironmentVariable", "variableName": variable}


def _mark(what: str) -> str:
    return f"{MARK}: {what}"
