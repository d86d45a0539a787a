"""The domains, the administrator, the accounts and the services of the mail server."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, SecretStr

from tailwart import fields as v
from tailwart.fields import key as _key
from tailwart.network import DEFAULT_SERVICES, MAIL_SERVICES


class Account(BaseModel):
    """One mail account: the keys carry its name, upper case, with underscores for other characters."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    name: v.LocalPart
    password: SecretStr = _key(
        "Accounts",
        "Password; hashed on this machine (argon2id), never sent in the clear.",
        "change-me-alice",
        secret=True,
    )
    aliases: v.LocalParts = _key("Accounts", "Further local parts that reach this account.", "postmaster,abuse", ())
    quota: v.Size | None = _key("Accounts", "Largest size of the mailbox; empty for none.", "5G", None)


class MailSettings(BaseModel):
    """The domains, the administrator, the accounts and the services of the mail server."""

    domain: v.Domain = _key("Mail", "The mail domain; the server is mail.DOMAIN.", "example.org")
    extra_domains: v.Domains = _key("Mail", "Further mail domains on the same server.", "example.net,example.com", ())
    stalwart_admin: v.LocalPart = _key("Mail", "The administrator's account name.", "admin", "admin")
    stalwart_admin_password: SecretStr | None = _key(
        "Mail", "The administrator's password, 12 characters or more.", "change-me-admin", None, secret=True
    )
    accounts: tuple[Account, ...] = _key(
        "Mail",
        "Names of mail accounts; each has keys of its own: ACCOUNT_<NAME>_PASSWORD, …_ALIASES, …_QUOTA.",
        "alice",
        (),
    )

    mail_services: v.MailServices = _key(
        "Mail",
        f"The mail services: {', '.join(service.name for service in MAIL_SERVICES)}. Named alone: public, through the "
        "edges; with :tailnet behind the name: for the tailnet only (TS_MAIL_SRC); not named: off.",
        "smtp,submissions,imaps,sieve:tailnet",
        DEFAULT_SERVICES,
    )
