"""From `group_data/mailbox.py` to `Terms`, or to every problem in it at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from tailwart.errors import TailwartError
from tailwart.stalwart.settings.terms.model import Terms

FILE = "group_data/mailbox.py"
NAMES = tuple(Terms.model_fields)
"""The names that `read` reads."""


def read(data: Mapping[str, Any], domain: str) -> Terms:
    """The terms among these names; bare names of addresses belong to `domain`.

    Raises one TailwartError that names every value that is not valid, with what is allowed there.
    """
    given = {name: data[name] for name in NAMES if data.get(name) is not None}
    try:
        return Terms.model_validate(given, context={"domain": domain})
    except ValidationError as error:
        problems = list(dict.fromkeys(_sentences(error)))
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise TailwartError(
        f"{FILE}: {count}, nothing was touched",
        seen="\n".join(problems),
        remedy=f"correct {FILE}; docs/recipes.md shows every name with an example",
    ) from None


def refuse_unknown(names: Iterable[str], known: Iterable[str]) -> None:
    """Raises TailwartError for a `mailbox_…` name that nothing reads: a typing mistake would be ignored."""
    known = tuple(known)
    unknown = sorted(name for name in names if name.startswith("mailbox_") and name not in known)
    if unknown:
        near = [f"{name}{_near(name, known)}" for name in unknown]
        raise TailwartError(
            f"{FILE}: unknown names", seen="\n".join(near), expected=f"one of {', '.join(sorted(known))}",
            remedy=f"correct or remove them in {FILE}",
        )  # fmt: skip


def _sentences(error: ValidationError) -> Iterable[str]:
    for detail in error.errors(include_url=False):
        location = tuple(part for part in detail["loc"] if part != "[key]")
        place = str(location[0]) + "".join(f"[{part!r}]" for part in location[1:] if not _internal(part))
        if detail["type"] == "extra_forbidden":
            known = _known(location[:-1])
            yield f"{place}: no such key{_near(str(location[-1]), known)}; known: {', '.join(known)}"
        elif detail["type"] in ("model_type", "mapping_type", "dict_type"):
            yield f"{place} = {_shown(detail['input'])}: expected a mapping of keys"
        elif detail["type"] == "missing":
            yield f"{place}: missing"
        else:
            expected = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
            yield f"{place} = {_shown(detail['input'])}: expected {expected}"


def _internal(part: int | str) -> bool:
    """Parts that pydantic adds for the branches of a union; no key of ours looks like one."""
    return isinstance(part, str) and ("[" in part or part in {"bool", "str", "int", "none", "is-instance"})


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def _known(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys of the model at a place of the document."""
    model: Any = Terms
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = _model_of(model.model_fields[str(part)].annotation)
    return tuple(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else ()


def _model_of(annotation: Any) -> Any:
    """The model in an annotation: `Model | None`, `Mapping[Name, Model]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_of(part)) is not None), None)
