"""Who holds the zone, behind one small interface. A further provider is one module in this package, nothing else.

A provider module `name.py` has `DEMANDS`, the attributes of the environment it cannot work without, and
`open_provider(environment, notify)`, which opens no connection yet. `DNS_PROVIDER=name` selects it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol, cast

from tailwart.errors import TailwartError
from tailwart.providers.record import Record

if TYPE_CHECKING:
    from tailwart.environment import Environment

Notify = Callable[[str], None]
"""Tells the operator about something that takes its time."""


class Provider(Protocol):
    """A place where a zone is read and changed."""

    label: str
    """What the operator calls it."""

    nameservers: tuple[str, ...]
    """Its authoritative servers: name or address, with `:port` when it is not 53."""

    def read(self, zone: str) -> tuple[Record, ...]:
        """All records of the zone, foreign ones too. The first call is the key probe.

        Raises `TailwartError` that says what to check when the key, the zone or the connection is at fault.
        """

    def change(self, zone: str, puts: Iterable[Record], deletes: Iterable[Record]) -> None:
        """Publish ``puts`` (also a new TTL), then remove ``deletes``; both are harmless to repeat.

        Nothing is removed before everything is published, unless the provider changes all of it at one moment.
        Raises `TailwartError`; what was done by then is found by the next `read`.
        """


class _Module(Protocol):
    DEMANDS: tuple[str, ...]

    def open_provider(self, environment: Environment, notify: Notify) -> Provider: ...


def names() -> tuple[str, ...]:
    """The providers there are."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")))


def demands(name: str) -> tuple[str, ...]:
    """The attributes of the environment that a provider cannot work without."""
    return _module(name).DEMANDS


def open_provider(environment: Environment, notify: Notify) -> Provider:
    """The provider that DNS_PROVIDER names. Raises `TailwartError` when there is none of that name."""
    return _module(environment.dns_provider).open_provider(environment, notify)


def _module(name: str) -> _Module:
    if name not in names():
        raise TailwartError(
            f"DNS_PROVIDER={name}: no zone to work on",
            expected=f"one of {', '.join(names())}",
            remedy="set DNS_PROVIDER in .env, or publish the text of `tailwart dns zonefile` by hand",
        )
    return cast("_Module", importlib.import_module(f"{__name__}.{name}"))
