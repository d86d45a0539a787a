"""The desired objects: a pure function from the operator's input to Stalwart's objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import SecretStr

from tailwart.mailbox import names
from tailwart.network import HTTPS, INSIDE, TAILNET_RANGES
from tailwart.providers.definition import DnsField, Variable
from tailwart.stalwart.protocol.jmap import SINGLETON, Call
from tailwart.stalwart.protocol.kinds import MARK, reads
from tailwart.stalwart.protocol.values import TYPE, Bag, PublicText, Ref, canonical
from tailwart.stalwart.settings import perimeter
from tailwart.stalwart.settings.desired_object import DesiredObject, combined
from tailwart.stalwart.settings.inputs import AccountInput, GroupInput, ListInput, MailboxSettings
from tailwart.stalwart.settings.terms import model as terms
from tailwart.stalwart.settings.terms.sign_in import PASSWORD_NETWORKS


def desired(settings: MailboxSettings) -> tuple[DesiredObject, ...]:
    """All objects, each after those that it refers to."""
    return combined(_objects(settings))


def reading(settings: MailboxSettings) -> tuple[Call, ...]:
    """The calls that read what these settings compare with: what is declared, and what could be theirs from before."""
    return reads({item.kind for item in desired(settings)}.union(settings.terms.kinds))


def _objects(settings: MailboxSettings) -> Iterator[DesiredObject]:
    yield from _certificates(settings)
    yield from (_domain(settings, name) for name in settings.env.domains)
    yield from (_group(group) for group in settings.groups)
    yield from (_account(settings, account) for account in settings.accounts)
    yield from (_mailing_list(item) for item in settings.lists)
    yield from _listeners(settings)
    yield _system(settings)
    yield from _routing(settings)
    yield from _allowed(settings)
    yield DesiredObject("Http", SINGLETON, perimeter.http(settings.env))
    yield DesiredObject("Security", SINGLETON, perimeter.security(settings.bans))
    yield from _stores(settings)
    yield from _observation(settings)
    yield DesiredObject("SpamPyzor", SINGLETON, {"enable": not settings.env.offline})
    yield from terms.objects(
        settings.terms,
        services=settings.env.mail_services,
        addresses=[account.address for account in settings.accounts],
        administrators={account.address for account in settings.accounts if account.admin},
        webhooks_signed=settings.env.webhook_key is not None,
        ldap_secret=settings.env.ldap_bind_password is not None,
    )


RSA_ONLY = {TYPE: "Automatic", "algorithms": frozenset({"Dkim1RsaSha256"})}


def _domain(settings: MailboxSettings, name: str) -> DesiredObject:
    fields: dict[str, Any] = {"isEnabled": True, "dkimManagement": RSA_ONLY}
    if settings.acme:
        # One wildcard for the domain and its names (lesson 4): no further names.
        fields["certificateManagement"] = {
            TYPE: "Automatic",
            "acmeProviderId": Ref("AcmeProvider", settings.acme.directory),
            "subjectAlternativeNames": frozenset(),
        }
        # Stalwart publishes the records that it rotates itself; every other record is the dns role's.
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
    named = settings.terms.mailbox_sign_in.passwords_from if settings.terms.mailbox_sign_in else {}
    if account.admin and account.address not in named:
        # JMAP carries administration as well as mail, so a public JMAP must not take an administrator's login.
        fields[PASSWORD_NETWORKS] = frozenset(INSIDE)
    return DesiredObject(
        "Account",
        account.address,
        fields,
        at_creation={TYPE: "User"},
        password=account.password,
        # Passwords of an external directory's accounts are not the server's to change.
        password_once=settings.terms.external_directory,
    )


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


def _listeners(settings: MailboxSettings) -> Iterator[DesiredObject]:
    proxied = frozenset((*settings.env.mail_services.public, HTTPS))
    for service in settings.env.mail_services.listeners:
        yield DesiredObject(
            "NetworkListener",
            str(service.port),
            {
                "bind": frozenset({f"[::]:{service.port}"}),
                "protocol": service.protocol,
                "useTls": not service.clear,
                "tlsImplicit": service.implicit_tls,
                # Only where every connection comes through an edge. A trusted peer without the header hangs: 8080 and
                # the tailnet's own services are asked directly.
                "overrideProxyTrustedNetworks": frozenset(TAILNET_RANGES if service in proxied else ()),
            },
            at_creation={"name": service.name},
        )


def _system(settings: MailboxSettings) -> DesiredObject:
    # The server's MTA-STS policy names these, and so does the zone that it recommends.
    exchangers = tuple({"hostname": host, "priority": number} for host, number in settings.env.exchangers)
    return DesiredObject(
        "SystemSettings",
        SINGLETON,
        {
            "defaultHostname": settings.env.mail_host,
            **({"mailExchangers": exchangers} if exchangers else {}),
            "defaultDomainId": Ref("Domain", settings.env.domain),
            # Global trust would make 8080 demand a PROXY header as well: kept empty, and repaired.
            "proxyTrustedNetworks": frozenset(),
        },
    )


SMARTHOST = "smarthost"


def _routing(settings: MailboxSettings) -> Iterator[DesiredObject]:
    # Without these two nothing is delivered locally or directly. A store that was first started in recovery mode lacks
    # them: the server adds defaults only to kinds that are empty at a normal start.
    yield DesiredObject("MtaRoute", "local", {TYPE: "Local"}, at_creation={"name": "local"})
    yield DesiredObject(
        "MtaRoute", "mx", {TYPE: "Mx", "ipLookupStrategy": settings.ip_lookup}, at_creation={"name": "mx"}
    )
    env = settings.env
    if env.smarthost_address:
        secret = _environment(names.ENV_SMARTHOST) if env.smarthost_password else {TYPE: "None"}
        yield DesiredObject(
            "MtaRoute",
            SMARTHOST,
            {
                TYPE: "Relay",
                "address": str(env.smarthost_address),
                "port": env.smarthost_port,
                "protocol": "smtp",
                "implicitTls": env.smarthost_implicit_tls,
                "allowInvalidCerts": env.smarthost_allow_invalid_certs,
                "authUsername": env.smarthost_username,
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
                "else": f"'{SMARTHOST if env.smarthost_address else 'mx'}'",
            }
        },
    )


def _allowed(settings: MailboxSettings) -> Iterator[DesiredObject]:
    """Addresses that the auto-ban must never hit (lesson 3): a banned edge still relays but cannot reach 8080."""
    for network in TAILNET_RANGES:
        yield DesiredObject("AllowedIp", network, {}, at_creation={"address": network, "reason": _mark("tailnet")})
    known = set(TAILNET_RANGES)
    for edge in settings.env.edges:
        for address in (str(address) for address in (edge.ipv4, edge.ipv6) if address):
            if address not in known:
                yield DesiredObject(
                    "AllowedIp", canonical(address), {}, at_creation={"address": address, "reason": _mark(edge.name)}
                )
            known.add(address)


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
                "accessKey": PublicText(settings.s3.access_key),
                "secretKey": _environment(names.ENV_S3),
            },
            masked=frozenset({"accessKey"}),
        )
    else:
        yield DesiredObject("BlobStore", SINGLETON, {TYPE: "Default"})
    if settings.env.redis_url:
        redis_url = settings.env.redis_url.get_secret_value()
        yield DesiredObject(
            "InMemoryStore",
            SINGLETON,
            {TYPE: "Redis", "url": redis_url},
            masked=frozenset({"url"}),
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
    yield DesiredObject("Metrics", SINGLETON, {"prometheus": perimeter.prometheus(settings.metrics)})


def _dns_field(value: DnsField) -> Any:
    if isinstance(value, Variable):
        return _environment(value.name)
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _environment(variable: str) -> Mapping[str, str]:
    return {TYPE: "EnvironmentVariable", "variableName": variable}


def _mark(what: str) -> str:
    return f"{MARK}: {what}"
