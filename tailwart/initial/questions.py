"""What has to be asked, in which order, and where each answer comes from. Pure.

Only what nobody can find out is a question. Public addresses of edges, the zone's provider and the tailnet's name are
looked up first and offered; passwords of this installation's own are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic.fields import FieldInfo

from tailwart import providers
from tailwart.environment import Account, Edge
from tailwart.environment.load import account_key, edge_key, settings
from tailwart.fields import example_of, is_secret

NAME_SERVERS = {
    "spaceship": "spaceship.net",
    "cloudflare": "cloudflare.com",
    "desec": "desec.io",
    "hetzner": "hetzner.com",
    "ovh": "ovh.net",
    "route53": "awsdns",
}
"""Part of a provider's name servers, by its name in DNS_PROVIDER."""

_WHERE = {
    "DOMAIN": "the domain that your addresses end with; buy one first (docs/first-installation.md)",
    "MAILBOX_SSH": "user@host of a Debian host for the mailbox; at home is fine, nothing is forwarded to it",
    "EDGES": "names of the public hosts, your choice: edge-1, or edge-1,edge-2",
    "TS_TAILNET": "admin console, DNS: the tailnet name",
    "TS_OAUTH_CLIENT_ID": "admin console, Settings, OAuth clients: scopes policy_file and auth_keys (write), with the "
    "tags of mailbox and edges (tag:stalwart, tag:reverse-proxy)",
    "TS_OAUTH_CLIENT_SECRET": "shown once, when the client is made",
    "STALWART_ADMIN_PASSWORD": "the administrator's; empty: a strong one is made",
    "ACCOUNTS": "names before the @: alice, or alice,bob",
    "DNS_PROVIDER": "who holds the zone of your domain; none: you publish the records by hand",
    "ACME_CONTACT": "where the certificate authority writes to when something is wrong",
    "SMARTHOST_ADDRESS": "only where the mailbox's own port 25 is blocked; empty: direct delivery",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One key of `.env` to ask for. ``made``: an empty answer makes a password. An optional one may stay empty."""

    key: str
    text: str
    example: str
    secret: bool = False
    made: bool = False
    optional: bool = False

    @property
    def where(self) -> str:
        """Where the answer comes from; empty when the text says it all."""
        return _WHERE.get(self.key, "")


def pending(values: Mapping[str, str]) -> Iterator[Question]:
    """The questions whose keys have no value yet, as far as the answers so far tell; an empty value is an answer."""
    return (question for question in wanted(values) if question.key not in values)


def wanted(values: Mapping[str, str]) -> Iterator[Question]:
    """Every question that these answers lead to, in order."""
    known = settings()
    yield _question("DOMAIN", known)
    yield _question("MAILBOX_SSH", known)
    yield _question("EDGES", known)
    for name in names(values, "EDGES"):
        yield _of(edge_key(name, "ssh"), Edge.model_fields["ssh"])
    for key in ("TS_TAILNET", "TS_OAUTH_CLIENT_ID", "TS_OAUTH_CLIENT_SECRET"):
        yield _question(key, known)
    yield _question("STALWART_ADMIN_PASSWORD", known, made=True)
    yield _question("ACCOUNTS", known)
    for name in names(values, "ACCOUNTS"):
        yield _of(account_key(name, "password"), Account.model_fields["password"], made=True)
    yield _question("DNS_PROVIDER", known)
    provider = values.get("DNS_PROVIDER", "")
    if provider in providers.definitions():
        for key, info in providers.definition(provider).keys.model_fields.items():
            if info.is_required() or is_secret(info):
                yield _of(key.upper(), info)
    if provider not in ("", "none"):
        yield _question("ACME_CONTACT", known)
    yield _question("SMARTHOST_ADDRESS", known, optional=True)
    if values.get("SMARTHOST_ADDRESS"):
        yield _question("SMARTHOST_USERNAME", known)
        yield _question("SMARTHOST_PASSWORD", known)


def names(values: Mapping[str, str], key: str) -> list[str]:
    """The names in a list of `.env`."""
    return [part.strip() for part in values.get(key, "").split(",") if part.strip()]


def _question(key: str, known: Mapping[str, FieldInfo], *, made: bool = False, optional: bool = False) -> Question:
    return _of(key, known[key], made=made, optional=optional)


def _of(key: str, info: FieldInfo, *, made: bool = False, optional: bool = False) -> Question:
    return Question(key, info.description or key, example_of(info), is_secret(info), made, optional)
