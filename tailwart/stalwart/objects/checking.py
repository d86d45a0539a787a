"""A declared object against the running server's schema, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tailwart.stalwart.objects.declared import Declared
from tailwart.stalwart.objects.faults import Fault
from tailwart.stalwart.objects.shaping import wire
from tailwart.stalwart.objects.units import FORMS
from tailwart.stalwart.protocol.values import TYPE, Resolve, at, same, shown
from tailwart.stalwart.schema.checking import Problem, Rule, problems
from tailwart.stalwart.schema.model import Schema, Shape


def check(
    schema: Schema,
    item: Declared,
    fields: Mapping[str, Any],
    live: Mapping[str, Any],
    resolve: Resolve,
    *,
    exists: bool,
) -> Iterator[Fault]:
    """Everything that the server would refuse. `exists`: only what is declared is written, nothing else is required.

    `resolve` gives the ids of the objects that the fields refer to.
    """
    for problem in problems(schema, item.kind, wire(fields), creating=not exists, live=live):
        place = tuple(problem.path.split("/")) if problem.path else ()
        if problem.rule is Rule.REQUIRED and exists and _is_kept(fields, live, problem.path):
            continue
        if problem.rule is not Rule.READ_ONLY:
            yield Fault(item.path, _text(schema, item, problem), place)
            continue
        held, wanted = at(live, problem.path), at(fields, problem.path)
        if not same(wanted, held, resolve):
            yield Fault(
                item.path,
                f"can only be set at creation: it is {shown(held)}, declared is {shown(wanted)}; keep the value, or "
                "declare the object as None, deploy, and declare it again",
                place,
            )


def _is_kept(fields: Mapping[str, Any], live: Mapping[str, Any], path: str) -> bool:
    """Whether the live object holds a field that is not declared, and keeps it: only what is declared is sent."""
    parent = path.rpartition("/")[0]
    held = at(live, parent) if parent else live
    wanted = at(fields, parent) if parent else fields
    same_variant = isinstance(held, Mapping) and isinstance(wanted, Mapping) and held.get(TYPE) == wanted.get(TYPE)
    return same_variant and at(live, path) is not None


def _text(schema: Schema, item: Declared, problem: Problem) -> str:
    # Without the path, which the fault names already.
    text = replace(problem, path="").message()
    found = schema.field(item.kind, problem.path) if problem.path else None
    if found is not None and problem.rule in (Rule.TYPE, Rule.VALUE):
        if found.type.shape is Shape.NUMBER and found.type.format in FORMS:
            text += f", {FORMS[found.type.format]}"
        elif found.type.shape is Shape.OBJECT_ID:
            text += "; write its name"
    return text
