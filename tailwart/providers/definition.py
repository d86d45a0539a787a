"""What a DNS provider is made of: its keys, its limits, how it is opened, and how Stalwart speaks to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from tailwart.errors import TailwartError

if TYPE_CHECKING:
    # Only for annotations: the library behind records takes long to load, and reading a `.env` needs none of it.
    from tailwart.providers.record import Record

Notify = Callable[[str], None]
"""Tells the operator about something that takes its time."""


class Provider(Protocol):
    """A place where a zone is read and changed."""

    label: str
    """What the operator calls it."""

    nameservers: tuple[str, ...]
    """Its authoritative servers: name or address, with `:port` when it is not 53. Empty when each zone has others."""

    keeps_strings: bool
    """Whether it keeps where the strings of a TXT record are cut."""

    def read(self, zone: str) -> tuple[Record, ...]:
        """All records of the zone, foreign ones too. The first call is the key probe.

        Raises `TailwartError` that says what to check when the key, the zone or the connection is at fault.
        """

    def change(self, zone: str, puts: Iterable[Record], deletes: Iterable[Record]) -> None:
        """Publish ``puts`` (also a new TTL), then remove ``deletes``; both are harmless to repeat.

        Nothing is removed before everything is published, unless the provider changes all of it at one moment, or a
        record set as a whole. Raises `TailwartError`; what was done by then is found by the next `read`.
        """


class Keys(BaseModel):
    """A provider's own `.env` keys: the attributes are the keys in lower case, one without default is required."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


K = TypeVar("K", bound=Keys)


@dataclass(frozen=True, slots=True)
class Variable:
    """A secret that Stalwart reads from an environment variable of its container.

    Such a reference reads back exactly, where a value in the store comes back masked and cannot be compared.
    """

    name: str
    value: SecretStr


DnsField = str | int | bool | SecretStr | Variable | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DnsServer:
    """Stalwart's own object for a provider (`x:DnsServer`), through which it answers ACME challenges by DNS-01.

    ``variant`` is its `@type`; ``fields`` are in the server's own terms. A `SecretStr` is a value that the server takes
    only as plain text: it is written, and never shown.
    """

    provider: str
    variant: str
    fields: Mapping[str, DnsField]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The secrets that the container must have in its environment."""
        return tuple(field for field in self.fields.values() if isinstance(field, Variable))


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition(Generic[K]):
    """One provider. Each module of this package that has one as ``PROVIDER`` is a value of DNS_PROVIDER.

    ``ttl`` are the seconds that the provider accepts. ``connect`` opens no connection yet. ``dns_server`` is None where
    Stalwart has no such provider: ACME_DNS_PROVIDER then has to name another one.
    """

    label: str
    keys: type[K]
    ttl: range
    connect: Callable[[K, Notify], Provider]
    dns_server: Callable[[K], DnsServer] | None = None

    @property
    def required(self) -> tuple[str, ...]:
        """The keys without a default, as attributes."""
        return tuple(name for name, info in self.keys.model_fields.items() if info.is_required())

    def is_set(self, values: Mapping[str, SecretStr]) -> bool:
        """Whether no required key is missing."""
        return all(name in values for name in self.required)

    def parse(self, values: Mapping[str, SecretStr]) -> K:
        """The provider's keys out of those of all providers. Raises `TailwartError` when one is missing or wrong."""
        own = {name: values[name].get_secret_value() for name in self.keys.model_fields if name in values}
        try:
            return self.keys.model_validate(own)
        except ValidationError as error:
            wrong = {str(detail["loc"][0]).upper() for detail in error.errors(include_url=False, include_input=False)}
            # The library's own text holds the values.
            raise TailwartError(
                f"{self.label} cannot be used with the settings of .env",
                seen=f"missing or wrong: {', '.join(sorted(wrong))}",
                remedy="`tailwart env check` says what each must be",
            ) from None

    def open(self, values: Mapping[str, SecretStr], notify: Notify) -> Provider:
        """The provider with its keys. Raises `TailwartError` when they cannot be used."""
        return self.connect(self.parse(values), notify)


AnyDefinition = Definition[Any]
