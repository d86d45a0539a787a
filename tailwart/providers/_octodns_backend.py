"""How a provider is described to the adapter over octoDNS; octoDNS itself is loaded by its users only."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tailwart.errors import TailwartError


@dataclass(frozen=True, slots=True)
class Rrset:
    """A record set as the provider lists it: absolute owner name, values in RFC 1035 presentation text.

    ``obstacle`` says why it cannot be written back as it is; it is then shown, and never changed.
    """

    owner: str
    type: str
    ttl: int
    values: tuple[str, ...]
    obstacle: str = ""


TIMEOUTS = (3.0, 15.0)
"""Seconds to connect, to each address of an API, and to wait for an answer."""

ATTEMPTS = 3
"""Requests to an API that does not answer, the first included, where the library repeats them. With the pauses between
them they end within a minute."""

Listing = Callable[[Any, str], Iterable[Rrset]]
"""All record sets of a zone, asked through an octoDNS provider object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One octoDNS provider.

    ``host`` is where the API is. ``library`` makes a new octoDNS object, since they keep what they read; its requests
    end by `TIMEOUTS` and `ATTEMPTS`, whatever the library's own bounds are. ``atomic``: one change is published as a
    whole. ``text`` brings a TXT value into the form that this octoDNS provider writes without a change of meaning, and
    raises `ValueError` when there is none. ``statuses`` maps the library's own error classes and codes to the HTTP
    status they stand for; ``access`` says what to check when the key is refused; ``secrets`` never appear in a message.
    """

    label: str
    host: str
    library: Callable[[], Any]
    listing: Listing
    atomic: bool
    access: str
    text: Callable[[str], str]
    nameservers: tuple[str, ...] = ()
    statuses: Mapping[str, int] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


def library_class(module: str, name: str, extra: str) -> Any:
    """A class of an octoDNS package. Raises `TailwartError` that says how to install it."""
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise TailwartError(
            f"DNS_PROVIDER={extra} needs the Python package {module.replace('_', '-')}",
            seen=f"{type(error).__name__}: {error.name}",
            remedy=f"`make setup` in a checkout, or `pip install 'tailwart[{extra}]'`",
        ) from error


def plain_text(text: str) -> str:
    """A TXT value for octoDNS providers that quote and cut it themselves, which they do right for plain ASCII only."""
    if not text.isascii() or not text.isprintable() or '"' in text or "\\" in text:
        raise ValueError("a quote, a backslash or a character beyond ASCII")
    return text.replace(";", "\\;")


def owner_name(name: str, zone: str) -> str:
    """The absolute owner name of one that an API gives relative to the zone, empty or `@` for the zone itself."""
    return f"{zone}." if name in {"", "@"} else f"{name}.{zone}."
