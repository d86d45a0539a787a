"""Accounts of an external directory: LDAP or OpenID Connect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, model_validator

from tailwart.fields import Domain, SecureUrl
from tailwart.mailbox import names
from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.protocol.kinds import MARK
from tailwart.stalwart.protocol.values import TYPE, Ref
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.terms.fields import Term

KINDS = ("Directory", "Authentication")


def _ldap_url(value: str) -> str:
    scheme, slashes, host = value.partition("://")
    if scheme not in ("ldap", "ldaps") or not slashes or not host.strip("/"):
        raise ValueError("ldap://host:389 or ldaps://host:636, with the full name")
    return value


def _filter(value: str) -> str:
    if not (value.startswith("(") and value.endswith(")") and value.count("(") == value.count(")") and "?" in value):
        raise ValueError(
            "an LDAP filter with ? in the place of the address, such as (&(objectClass=inetOrgPerson)(mail=?))"
        )
    return value


Filter = Annotated[str, AfterValidator(_filter)]


class LdapTerms(Term):
    """`bind_dn`: with which the server searches; its password is LDAP_BIND_PASSWORD in `.env`.

    A login is proven by binding as the entry that `login_filter` finds.
    """

    url: Annotated[str, AfterValidator(_ldap_url)]
    base_dn: str
    bind_dn: str | None = None
    start_tls: bool = False
    login_filter: Filter | None = None
    mailbox_filter: Filter | None = None
    group_filter: Filter | None = None


class OidcTerms(Term):
    """`issuer`: the provider's base URL. Tokens must be made out for `audience` and hold `scopes`."""

    issuer: SecureUrl
    audience: str | None = "stalwart"
    scopes: tuple[str, ...] = ("openid", "email")
    username_claim: str = "preferred_username"
    groups_claim: str | None = None
    username_domain: Domain | None = None


class DirectoryTerms(Term):
    """One of the two; neither: back to the server's own accounts."""

    ldap: LdapTerms | None = None
    oidc: OidcTerms | None = None

    @model_validator(mode="after")
    def _only_one(self) -> DirectoryTerms:
        if self.ldap and self.oidc:
            raise ValueError("either ldap or oidc: the server asks one directory")
        return self

    @property
    def external(self) -> bool:
        """Whether passwords are proven somewhere else."""
        return bool(self.ldap or self.oidc)


def objects(terms: DirectoryTerms, *, with_secret: bool) -> Iterator[DesiredObject]:
    """The directory, and the choice of it; without one the choice alone."""
    if not terms.external:
        yield DesiredObject("Authentication", SINGLETON, {"directoryId": None})
        return
    key = "ldap" if terms.ldap else "oidc"
    fields = _ldap(terms.ldap, with_secret) if terms.ldap else _oidc(terms.oidc)
    # At creation, what is absent gets the server's default: "none" must be said.
    nothing = {name: None for name, value in fields.items() if value is None}
    yield DesiredObject("Directory", key, fields, at_creation={"description": f"{MARK}: {key}", **nothing})
    # Late: from then on no password of the server's own counts, the administrator's included.
    choice = {"directoryId": Ref("Directory", key)}
    yield DesiredObject("Authentication", SINGLETON, choice, late=frozenset(choice))


def _ldap(terms: LdapTerms, with_secret: bool) -> dict[str, Any]:
    secret = {TYPE: "EnvironmentVariable", "variableName": names.ENV_LDAP}
    fields: dict[str, Any] = {
        TYPE: "Ldap",
        "url": terms.url,
        "baseDn": terms.base_dn,
        "bindDn": terms.bind_dn,
        "bindSecret": secret if with_secret else {TYPE: "None"},
        "bindAuthentication": True,
        "useTls": terms.start_tls,
    }
    filters = {
        "filterLogin": terms.login_filter,
        "filterMailbox": terms.mailbox_filter,
        "filterMemberOf": terms.group_filter,
    }
    return fields | {name: value for name, value in filters.items() if value}


def _oidc(terms: OidcTerms | None) -> dict[str, Any]:
    assert terms is not None
    return {
        TYPE: "Oidc",
        "issuerUrl": terms.issuer,
        "requireAudience": terms.audience,
        "requireScopes": frozenset(terms.scopes),
        "claimUsername": terms.username_claim,
        "claimGroups": terms.groups_claim,
        "usernameDomain": terms.username_domain,
    }
