"""What an operator asks of the mail server, in the operator's terms: the input of the desired state.

It is `.env` (`Environment`), and beside it what is derived from several of its keys or comes from
`group_data/mailbox.py`: accounts, groups, mailing lists, certificates. So a new key of `.env` needs no line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from tailwart.environment import Environment
from tailwart.providers.definition import DnsServer
from tailwart.stalwart.settings.terms.model import Terms


@dataclass(frozen=True, slots=True)
class AccountInput:
    """A person's account. `password` None: created without one, or keeps its own. `quota_bytes` None: no limit."""

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
class S3Store:
    """Where message bodies are stored. `endpoint`: URL with the full name and the port, for the sidecar's namespace."""

    endpoint: str
    region: str
    bucket: str
    access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Acme:
    """Certificates: the directory to ask, and how Stalwart itself writes the challenge."""

    directory: str
    contact: str
    dns: DnsServer


@dataclass(frozen=True, slots=True)
class Ban:
    """One reason of a ban: the failure that is one more than ``failures`` ``within_seconds`` bans ``for_seconds``."""

    reason: str
    failures: int
    within_seconds: int
    for_seconds: int


_DAY = 24 * 3600
BANS = (
    Ban("login", 100, _DAY, 3600),
    Ban("recipient", 35, _DAY, 3600),
    Ban("loiter", 150, _DAY, 3600),
    Ban("scan", 30, _DAY, _DAY),
)
"""The bans without `mailbox_bans`. The server counts per address and per name, so an attacked account bans its owner at
the first typo and a harvested address bans honest senders: an hour stops a guesser as well as a year does, and neither
of these two is cut off for long."""


@dataclass(frozen=True, slots=True)
class MailboxSettings:
    """Everything that the settings plane makes true on the server. Addresses are complete and in lower case."""

    env: Environment
    accounts: tuple[AccountInput, ...]
    groups: tuple[GroupInput, ...] = ()
    lists: tuple[ListInput, ...] = ()
    ip_lookup: str = "v4ThenV6"
    s3: S3Store | None = None
    acme: Acme | None = None
    metrics: bool = False
    bans: tuple[Ban, ...] = BANS
    blob_store_may_move: bool = False
    terms: Terms = field(default_factory=Terms)
    # What config.json says of the data store, as the server returns it; empty: not compared.
    data_store: Mapping[str, Any] = field(default_factory=dict)
    # `stalwart_objects` of group_data/mailbox.py, in the server's own terms.
    objects: Mapping[str, Any] = field(default_factory=dict)

    @property
    def holders(self) -> tuple[AccountInput | GroupInput | ListInput, ...]:
        """Everything that owns an address."""
        return (*self.accounts, *self.groups, *self.lists)
