"""Whether a value is the server's own default: the schema writes defaults in forms that the server does not return."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tailwart.stalwart.objects.units import amount
from tailwart.stalwart.protocol.values import TYPE, listed
from tailwart.stalwart.schema.model import MISSING, Field, Schema

_WITH_UNIT = re.compile(r"\d+(ms|s|m|h|d)")


def is_default(schema: Schema, known: Field, value: Any) -> bool:
    """Whether a field holds what the server gives it by itself; without a known default, whether it holds nothing."""
    if known.default is not MISSING:
        return _matches(known.default, value)
    structure = schema.structures.get(known.type.of)
    first = next(iter(structure.variants), "") if structure else ""
    return _nothing(value) or value == {TYPE: first}


def _nothing(value: Any) -> bool:
    return value is None or value in (False, {}, 0, "")


def _matches(default: Any, value: Any) -> bool:
    if isinstance(default, Mapping):
        if set(default) == {"default"}:
            # An expression without conditions.
            default = {"else": default["default"]}
        if not isinstance(value, Mapping):
            return False
        rest = value.keys() - default.keys()
        return all(_matches(each, value.get(name)) for name, each in default.items()) and all(
            _nothing(value[name]) for name in rest
        )
    if isinstance(default, list):
        items = listed(value)
        return len(items) == len(default) and all(map(_matches, default, items))
    if isinstance(default, str) and not isinstance(value, str) and _WITH_UNIT.fullmatch(default):
        return bool(amount("duration", default) == value)
    return bool(default == value) or (_nothing(default) and _nothing(value))
