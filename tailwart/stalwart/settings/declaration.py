"""One installation's `.env` and group data as `MailboxSettings`, checked for what only both together show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.stalwart.settings.groupdata import GROUP_DATA, GroupData, full_address
from tailwart.stalwart.settings.inputs import AccountInput, Acme, MailboxSettings, S3Store
from tailwart.stalwart.settings.terms import reading
from tailwart.stalwart.settings.terms.agreement import check
from tailwart.strength import weakness

NAMES = (*GROUP_DATA, *reading.NAMES)
"""Every name that group_data/mailbox.py may set; anything else that begins with `mailbox_` is a typing mistake."""


def from_environment(environment: Environment, data: Mapping[str, Any] | None = None) -> MailboxSettings:
    """The desired state in the operator's terms; `data` holds names of `NAMES`.

    Raises TailwartError naming the key whose value is not valid, and for an address that is given twice or that is not
    in a domain of the server.
    """
    group_data = GroupData(data or {}, environment.domain)
    group_data.refuse_moved()
    terms = reading.read(data or {}, environment.domain)
    quota = terms.mailbox_limits.mailbox if terms.mailbox_limits else None
    settings = MailboxSettings(
        env=environment,
        accounts=tuple(_limited(item, quota) for item in _accounts(environment) + group_data.accounts()),
        groups=group_data.groups(),
        lists=group_data.lists(),
        ip_lookup=group_data.ip_lookup(),
        s3=_s3(environment),
        acme=_acme(environment),
        metrics=_metrics(environment, group_data.switch("mailbox_metrics")),
        bans=group_data.bans(),
        blob_store_may_move=group_data.switch("mailbox_blob_store_may_move"),
        data_store=_data_store(environment),
        terms=terms,
        objects=group_data.objects(),
    )
    _check_addresses(settings)
    _check_administrator(settings)
    check(
        terms,
        environment,
        users={account.address for account in settings.accounts},
        known={address for holder in settings.holders for address in (holder.address, *holder.aliases)},
        with_password={item.address for item in settings.accounts[1:] if item.password},
    )
    return settings


def _limited(account: AccountInput, quota: int | None) -> AccountInput:
    """The account with `mailbox_limits`' size, unless it has one of its own."""
    return account if quota is None or account.quota_bytes is not None else replace(account, quota_bytes=quota)


def _metrics(environment: Environment, enabled: bool) -> bool:
    password = environment.metrics_password
    if enabled and password is None:
        raise TailwartError(
            "the metrics have no login of their own",
            seen="mailbox_metrics = True, and METRICS_PASSWORD is empty",
            expected="a password for Prometheus: without one the server shows them to everybody",
            remedy="set METRICS_PASSWORD in .env (`openssl rand -hex 24` makes one), or mailbox_metrics = False",
        )
    if enabled and password and (text := weakness(password.get_secret_value(), f"metrics@{environment.domain}")):
        raise TailwartError(
            "the password of the metrics is too weak",
            seen=f"METRICS_PASSWORD: {text}",
            expected="one that nobody guesses",
            remedy="set another one in .env: `openssl rand -hex 24` makes one",
        )
    return enabled


def administrator_address(environment: Environment) -> str:
    """The whole address of the administrator that `.env` declares."""
    return f"{environment.stalwart_admin}@{environment.domain}"


def _accounts(environment: Environment) -> tuple[AccountInput, ...]:
    admin = AccountInput(administrator_address(environment), environment.stalwart_admin_password, admin=True)
    return (
        admin,
        *(
            AccountInput(
                f"{account.name}@{environment.domain}",
                account.password,
                tuple(full_address(alias, environment.domain) for alias in account.aliases),
                account.quota,
            )
            for account in environment.accounts
        ),
    )


def _s3(environment: Environment) -> S3Store | None:
    if not environment.s3_endpoint:
        return None
    key = environment.s3_access_key
    return S3Store(
        str(environment.s3_endpoint),
        environment.s3_region,
        environment.s3_bucket,
        key.get_secret_value() if key else "",
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
    dns = environment.acme_dns_server
    if dns is None:
        raise TailwartError(
            "Stalwart cannot answer ACME challenges there",
            seen=f"DNS provider {environment.acme_dns}",
            expected="a provider that Stalwart knows: `tailwart env check` names them",
            remedy="set ACME_DNS_PROVIDER in .env, or leave ACME_DIRECTORY empty",
        )
    return Acme(str(directory), environment.acme_contact or f"postmaster@{environment.domain}", dns)


def _check_administrator(settings: MailboxSettings) -> None:
    """Whoever knows another account's password must not be the administrator with it; `.env` alone is checked there."""
    admin = settings.env.stalwart_admin_password
    for account in settings.accounts[1:]:
        if admin and account.password and account.password.get_secret_value() == admin.get_secret_value():
            raise TailwartError(
                f"{account.address} has the administrator's password",
                seen="the same value twice",
                expected="a password of its own for STALWART_ADMIN",
                remedy="change STALWART_ADMIN_PASSWORD in .env, or the account's in group_data/mailbox.py",
            )


def _check_addresses(settings: MailboxSettings) -> None:
    """Every local address once, in a declared domain: the server would refuse the second one in the middle of a run."""
    holders: dict[str, str] = {}
    for holder in settings.holders:
        for address in (holder.address, *holder.aliases):
            domain = address.rpartition("@")[2]
            if domain not in settings.env.domains:
                raise TailwartError(
                    f"{address} is not in a domain of this server",
                    seen=domain,
                    expected=f"one of {', '.join(settings.env.domains)}",
                    remedy="add the domain to EXTRA_DOMAINS in .env, or correct the address",
                )
            if address in holders:
                raise TailwartError(
                    f"{address} is given twice",
                    seen=f"for {holders[address]} and for {holder.address}",
                    remedy="keep it in one place of .env and group_data/mailbox.py",
                )
            holders[address] = holder.address
    users = {account.address for account in settings.accounts}
    for group in settings.groups:
        for member in group.members:
            if member not in users:
                raise TailwartError(
                    f"{member} is a member of {group.address}, but not an account",
                    seen=f"members of {group.address}: {', '.join(group.members)}",
                    expected="accounts of .env or group_data/mailbox.py",
                    remedy="add the account, or remove it from the group",
                )
