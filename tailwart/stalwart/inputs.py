"""What an operator asks of the mail server, in the operator's terms: the input of the desired state.

It is made from `.env` (`Environment`) and from the group data of `group_data/mailbox.py`, which adds what does not fit
into keys of a file: accounts of further domains, groups, mailing lists, optional listeners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from tailwart.environment import Environment
from tailwart.errors import TailwartError


@dataclass(frozen=True, slots=True)
class AccountInput:
    """A person's account. `password` None: the account is created without one, or keeps the one it has."""

    address: str
    password: SecretStr | None = None
    aliases: tuple[str, ...] = ()
    quota_bytes: int | None = None
    admin: bool = False
    description: str | None = None


@dataclass(frozen=True, slots=True)
class GroupInput:
    """A shared mailbox: its members read it, mail to it is stored once."""

    address: str
    members: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    description: str | None = None


@dataclass(frozen=True, slots=True)
class ListInput:
    """A mailing list: mail to it is passed on to each recipient."""

    address: str
    recipients: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Smarthost:
    """Where all outgoing mail goes instead of the recipients' MX hosts."""

    address: str
    port: int = 587
    username: str | None = None
    has_password: bool = False
    implicit_tls: bool = False
    allow_invalid_certs: bool = False


@dataclass(frozen=True, slots=True)
class S3Store:
    endpoint: str
    region: str
    bucket: str
    access_key: str


@dataclass(frozen=True, slots=True)
class DnsServer:
    """How Stalwart itself writes the ACME challenge. `host` and `port` only for RFC 2136."""

    provider: str
    api_key: str = ""
    host: str = ""
    port: int = 53
    key_name: str = ""
    algorithm: str = "hmac-sha256"


@dataclass(frozen=True, slots=True)
class Acme:
    directory: str
    contact: str
    dns: DnsServer


@dataclass(frozen=True, slots=True)
class MailboxSettings:
    """Everything the settings plane is told."""

    domains: tuple[str, ...]
    hostname: str
    accounts: tuple[AccountInput, ...]
    groups: tuple[GroupInput, ...] = ()
    lists: tuple[ListInput, ...] = ()
    edges: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    optional_listeners: frozenset[str] = frozenset()
    ip_lookup: str = "v4ThenV6"
    smarthost: Smarthost | None = None
    redis_url: str | None = None
    s3: S3Store | None = None
    acme: Acme | None = None
    metrics: bool = False
    offline: bool = False
    blob_store_may_move: bool = False
    # What config.json tells of the data store, as the server shows it; empty: not compared.
    data_store: Mapping[str, Any] = field(default_factory=dict)

    @property
    def holders(self) -> tuple[AccountInput | GroupInput | ListInput, ...]:
        """Everything that owns an address."""
        return (*self.accounts, *self.groups, *self.lists)


# The names that group_data/mailbox.py may set; anything else beginning with `mailbox_` is a typing mistake.
GROUP_DATA = {
    "mailbox_accounts": "further accounts: a list of {address, password?, aliases?, quota?, description?, admin?}",
    "mailbox_groups": "shared mailboxes: a list of {address, members?, aliases?, description?}",
    "mailbox_lists": "mailing lists: a list of {address, recipients?, aliases?, description?}",
    "mailbox_optional_listeners": "listeners besides the seven: pop3s, managesieve",
    "mailbox_ip_lookup": "address family for direct delivery: v4ThenV6, v6ThenV4, v4Only, v6Only (lesson 8)",
    "mailbox_metrics": "True: Prometheus metrics on 8080, which only the tailnet reaches",
    "mailbox_blob_store_may_move": "True: accept that messages in the old blob store become unreadable",
}
IP_LOOKUPS = ("v4ThenV6", "v6ThenV4", "v4Only", "v6Only")
OPTIONAL_LISTENERS = ("pop3s", "managesieve")


def from_environment(environment: Environment, data: Mapping[str, Any] | None = None) -> MailboxSettings:
    """The input from `.env` and the group data; raises TailwartError naming the key that does not fit."""
    data = dict(data or {})
    accounts = _accounts(environment) + tuple(_account(environment, item) for item in _items(data, "mailbox_accounts"))
    settings = MailboxSettings(
        domains=environment.domains,
        hostname=environment.mail_host,
        accounts=accounts,
        groups=tuple(_group(environment, item) for item in _items(data, "mailbox_groups")),
        lists=tuple(_list(environment, item) for item in _items(data, "mailbox_lists")),
        edges={
            edge.name: tuple(str(address) for address in (edge.ipv4, edge.ipv6) if address)
            for edge in environment.edges
        },
        optional_listeners=frozenset(_choices(data, "mailbox_optional_listeners", OPTIONAL_LISTENERS)),
        ip_lookup=_choice(data, "mailbox_ip_lookup", IP_LOOKUPS),
        smarthost=_smarthost(environment),
        redis_url=str(environment.redis_url) if environment.redis_url else None,
        s3=_s3(environment),
        acme=_acme(environment),
        metrics=bool(data.get("mailbox_metrics", False)),
        offline=environment.offline,
        blob_store_may_move=bool(data.get("mailbox_blob_store_may_move", False)),
        data_store=_data_store(environment),
    )
    _check_addresses(settings)
    return settings


def _accounts(environment: Environment) -> tuple[AccountInput, ...]:
    admin = AccountInput(
        f"{environment.stalwart_admin}@{environment.domain}", environment.stalwart_admin_password, admin=True
    )
    return (
        admin,
        *(
            AccountInput(
                f"{account.name}@{environment.domain}",
                account.password,
                tuple(_address(alias, environment.domain) for alias in account.aliases),
                account.quota,
            )
            for account in environment.accounts
        ),
    )


def _items(data: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    value = data.get(key) or ()
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, Mapping) for item in value):
        raise _misfit(key, value, f"{GROUP_DATA[key]}")
    return value


def _taken(key: str, item: Mapping[str, Any], known: Mapping[str, type | tuple[type, ...]]) -> None:
    for name, value in item.items():
        if name not in known:
            raise _misfit(key, name, f"one of {', '.join(known)}")
        if value is not None and not isinstance(value, known[name]):
            raise _misfit(f"{key}, {name} of {item.get('address', '?')}", type(value).__name__, str(known[name]))
    if not item.get("address"):
        raise _misfit(key, "an entry without address", "every entry has one")


_TEXTS = (list, tuple)


def _account(environment: Environment, item: Mapping[str, Any]) -> AccountInput:
    known: dict[str, type | tuple[type, ...]] = {
        "address": str,
        "password": (str, SecretStr),
        "aliases": _TEXTS,
        "quota": int,
        "admin": bool,
        "description": str,
    }
    _taken("mailbox_accounts", item, known)
    password = item.get("password")
    return AccountInput(
        _address(item["address"], environment.domain),
        SecretStr(password) if isinstance(password, str) else password,
        _addresses(item.get("aliases"), environment.domain),
        item.get("quota"),
        bool(item.get("admin", False)),
        item.get("description"),
    )


def _group(environment: Environment, item: Mapping[str, Any]) -> GroupInput:
    _taken("mailbox_groups", item, {"address": str, "members": _TEXTS, "aliases": _TEXTS, "description": str})
    return GroupInput(
        _address(item["address"], environment.domain),
        _addresses(item.get("members"), environment.domain),
        _addresses(item.get("aliases"), environment.domain),
        item.get("description"),
    )


def _list(environment: Environment, item: Mapping[str, Any]) -> ListInput:
    _taken("mailbox_lists", item, {"address": str, "recipients": _TEXTS, "aliases": _TEXTS, "description": str})
    return ListInput(
        _address(item["address"], environment.domain),
        _addresses(item.get("recipients"), environment.domain),
        _addresses(item.get("aliases"), environment.domain),
        item.get("description"),
    )


def _address(text: str, domain: str) -> str:
    """A full address, lower case; a bare local part belongs to the main domain."""
    text = text.strip().lower()
    return text if "@" in text else f"{text}@{domain}"


def _addresses(value: Sequence[str] | None, domain: str) -> tuple[str, ...]:
    return tuple(_address(text, domain) for text in value or ())


def _choices(data: Mapping[str, Any], key: str, known: Sequence[str]) -> Sequence[str]:
    value = data.get(key) or ()
    if isinstance(value, str) or not all(item in known for item in value):
        raise _misfit(key, value, f"a list of {', '.join(known)}")
    return tuple(value)


def _choice(data: Mapping[str, Any], key: str, known: Sequence[str]) -> str:
    value = data.get(key) or known[0]
    if value not in known:
        raise _misfit(key, value, f"one of {', '.join(known)}")
    return str(value)


def _smarthost(environment: Environment) -> Smarthost | None:
    if not environment.smarthost_address:
        return None
    return Smarthost(
        str(environment.smarthost_address),
        environment.smarthost_port,
        environment.smarthost_username,
        environment.smarthost_password is not None,
        environment.smarthost_implicit_tls,
        environment.smarthost_allow_invalid_certs,
    )


def _s3(environment: Environment) -> S3Store | None:
    if not environment.s3_endpoint:
        return None
    return S3Store(
        str(environment.s3_endpoint), environment.s3_region, environment.s3_bucket, environment.s3_access_key or ""
    )


def _data_store(environment: Environment) -> Mapping[str, Any]:
    if environment.stalwart_store == "rocksdb":
        return {"@type": "RocksDb"}
    return {
        "@type": "PostgreSql",
        "host": str(environment.stalwart_db_host),
        "port": environment.stalwart_db_port,
        "database": environment.stalwart_db_name,
        "authUsername": environment.stalwart_db_user,
    }


def _acme(environment: Environment) -> Acme | None:
    """A wildcard comes by DNS-01 only (lesson 4), so without a DNS provider there is no certificate management."""
    directory = environment.acme_directory_in_use
    if not directory or environment.acme_dns == "none":
        return None
    if environment.acme_dns == "spaceship":
        key = environment.spaceship_api_key
        dns = DnsServer("spaceship", api_key=key.get_secret_value() if key else "")
    elif environment.acme_dns != "rfc2136":
        raise TailwartError(
            "Stalwart cannot answer ACME challenges there",
            seen=f"DNS provider {environment.acme_dns}",
            expected="spaceship or rfc2136",
            remedy="set ACME_DNS_PROVIDER in .env, or leave ACME_DIRECTORY empty",
        )
    else:
        dns = DnsServer(
            "rfc2136",
            host=str(environment.rfc2136_server),
            port=environment.rfc2136_port,
            key_name=environment.rfc2136_key_name or "",
            algorithm=environment.rfc2136_algorithm,
        )
    return Acme(str(directory), environment.acme_contact or f"postmaster@{environment.domain}", dns)


def _check_addresses(settings: MailboxSettings) -> None:
    """Every local address once, in a domain of ours: the server would refuse the second one halfway through."""
    seen: dict[str, str] = {}
    for holder in settings.holders:
        for address in (holder.address, *holder.aliases):
            domain = address.rpartition("@")[2]
            if domain not in settings.domains:
                raise TailwartError(
                    f"{address} is not in a domain of this server",
                    seen=domain,
                    expected=f"one of {', '.join(settings.domains)}",
                    remedy="add the domain to EXTRA_DOMAINS in .env, or correct the address",
                )
            if address in seen:
                raise TailwartError(
                    f"{address} is given twice",
                    seen=f"for {seen[address]} and for {holder.address}",
                    remedy="keep it in one place of .env and group_data/mailbox.py",
                )
            seen[address] = holder.address
    users = {account.address for account in settings.accounts}
    for group in settings.groups:
        for member in group.members:
            if member not in users:
                raise TailwartError(
                    f"{member} is a member of {group.address} but no account",
                    expected="an account of .env or group_data/mailbox.py",
                    remedy="add the account, or take it out of the group",
                )


def _misfit(key: str, seen: object, expected: str) -> TailwartError:
    return TailwartError(
        f"group_data/mailbox.py: {key} does not fit",
        seen=str(seen)[:100],
        expected=expected,
        remedy="correct group_data/mailbox.py",
    )
