"""Who holds the zone. A further provider is one module in this package, nothing else.

Such a module `name.py` has a `Definition` named ``PROVIDER``; `DNS_PROVIDER=name` selects it. Its keys appear in
`.env.example` and in `tailwart env check` by themselves. Providers know nothing of the other settings.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from pydantic.fields import FieldInfo

from tailwart.errors import TailwartError
from tailwart.providers.definition import AnyDefinition

_COMMON = {"definition", "record"}
"""Modules that all providers share; those with an underscore in front belong to single ones."""


@cache
def definitions() -> Mapping[str, AnyDefinition]:
    """Every provider by its name in `.env`."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    names = sorted(name for name in found if name not in _COMMON and not name.startswith("_"))
    return {name: importlib.import_module(f"{__name__}.{name}").PROVIDER for name in names}


@cache
def settings() -> Mapping[str, FieldInfo]:
    """The `.env` keys of all providers, as attributes."""
    return {name: info for each in definitions().values() for name, info in each.keys.model_fields.items()}


def definition(name: str) -> AnyDefinition:
    """One provider. Raises `TailwartError` when there is none of that name."""
    if name not in definitions():
        raise TailwartError(
            f"DNS_PROVIDER={name}: no zone to work on",
            expected=f"one of {', '.join(definitions())}",
            remedy="set DNS_PROVIDER in .env, or publish the text of `tailwart dns zonefile` by hand",
        )
    return definitions()[name]
