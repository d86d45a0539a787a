"""From a `.env` file to the typed `Environment`, or to every problem of the file at once."""

from __future__ import annotations

import difflib
import io
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from tailwart import providers
from tailwart.environment.keys import account_key, edge_key
from tailwart.environment.lock import Lock, beside
from tailwart.environment.lock import read as read_lock
from tailwart.environment.model import Environment
from tailwart.environment.problems import EnvironmentProblems, Problem
from tailwart.environment.rules import contradictions
from tailwart.environment.sections.hosts import Edge
from tailwart.environment.sections.mail import Account
from tailwart.errors import TailwartError
from tailwart.fields import SECRET_PREFIX, example_of, is_secret

DEFAULT_PATH = ".env"
PATH_VARIABLE = "TAILWART_ENV"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A usable environment, and what the operator should know about its file (unknown keys)."""

    environment: Environment
    warnings: tuple[str, ...]


def selected_path() -> Path:
    """The file that TAILWART_ENV names, `.env` in the working directory otherwise."""
    return Path(os.environ.get(PATH_VARIABLE) or DEFAULT_PATH)


def load(path: Path | None = None) -> Loaded:
    """Read and check a `.env`.

    Raises `TailwartError` when there is no readable file, `EnvironmentProblems` with all problems otherwise.
    """
    path = path or selected_path()
    try:
        text = path.read_text(encoding="utf-8")
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError as error:
        raise TailwartError(
            f"{path}: no such file",
            expected="the settings of your installation",
            remedy=f"cp .env.example {path} && chmod 600 {path}, then fill it in; or `make demo` for a lab",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise TailwartError(
            f"{path}: cannot be read as UTF-8 text", seen=type(error).__name__, remedy=f"check {path}"
        ) from error
    raw, syntax = _read(text)
    problems = list(syntax)
    if mode & 0o077:
        problems.insert(0, Problem(str(path), f"a file that only you can read: chmod 600 {path}", f"mode {mode:04o}"))
    environment, found = _validate(raw)
    problems += found
    if problems or environment is None:
        raise EnvironmentProblems(str(path), tuple(problems))
    return Loaded(_locked(environment, read_lock(beside(path))), tuple(_unknown(raw)))


def _locked(environment: Environment, lock: Lock) -> Environment:
    """The settings with every image by the digest that `images.lock` knows."""
    names = ("stalwart_image", "tailscale_image", "edge_base_image", "garage_image")
    return environment.model_copy(update={name: lock.pinned(getattr(environment, name)) for name in names})


def _read(text: str) -> tuple[dict[str, str], list[Problem]]:
    """Key → value without interpolation: a `$` in a password is a dollar sign."""
    raw: dict[str, str] = {}
    problems = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            problems.append(
                Problem(f"line {binding.original.line}", "KEY=value, or a comment after #", "not parsable", secret=True)
            )
        elif binding.key is not None:
            if binding.key in raw:
                problems.append(
                    Problem(
                        binding.key, f"one definition; a second one stands in line {binding.original.line}", "twice"
                    )
                )
            value = raw[binding.key] = (binding.value or "").strip()
            if not value.isprintable():
                # Some of what they end in has no way to write one: a Compose .env, a header, a line of a log.
                problems.append(
                    Problem(binding.key, "a value of one line, without control characters", "", secret=True)
                )
    return raw, problems


def _validate(raw: Mapping[str, str]) -> tuple[Environment | None, list[Problem]]:
    document = _document(raw)
    problems = [*_copied_examples(raw), *_wrong_provider_keys(raw)]
    try:
        environment = Environment.model_validate(document)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False):
            problems.append(_problem(detail["loc"], detail["msg"], document))
        # The rules between settings are still checked, on a version of the file in which the wrong values stand at
        # their examples: whoever fixes a file wants to see every problem at once.
        broken = {problem.key for problem in problems}
        partial = _with_examples(document, [tuple(detail["loc"]) for detail in error.errors(include_url=False)])
        problems += [problem for problem in _contradictions_of(partial) if problem.key not in broken]
        return None, problems
    problems += contradictions(environment)
    return environment, problems


def _wrong_provider_keys(raw: Mapping[str, str]) -> Iterator[Problem]:
    """Values that a DNS provider cannot read; which keys must be there depends on the one that is chosen."""
    for definition in providers.definitions().values():
        values = _group(raw, definition.keys, "")
        try:
            definition.keys.model_validate(values)
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_context=False):
                if detail["type"] != "missing":
                    name = str(detail["loc"][0])
                    info = definition.keys.model_fields[name]
                    yield _shown(name.upper(), info, values[name], detail["msg"])


def _contradictions_of(document: dict[str, Any]) -> list[Problem]:
    try:
        return list(contradictions(Environment.model_validate(document)))
    except ValidationError:
        return []


def _document(raw: Mapping[str, str]) -> dict[str, Any]:
    """The flat keys as the nested document that the model describes; an empty value counts as not set."""
    document: dict[str, Any] = {name: raw[name.upper()] for name in Environment.model_fields if raw.get(name.upper())}
    document["provider_keys"] = {name: raw[name.upper()] for name in providers.settings() if raw.get(name.upper())}
    document["secrets"] = {key: value for key, value in raw.items() if key.startswith(SECRET_PREFIX) and value}
    document["edges"] = [{"name": name, **_group(raw, Edge, edge_key(name, ""))} for name in _names(raw, "EDGES")]
    document["accounts"] = [
        {"name": name, **_group(raw, Account, account_key(name, ""))} for name in _names(raw, "ACCOUNTS")
    ]
    return document


def settings() -> dict[str, FieldInfo]:
    """Every key of a `.env` that is not one edge's or one account's own, in the order of `.env.example`."""
    found: dict[str, FieldInfo] = {}
    for name, info in Environment.model_fields.items():
        if name != "secrets":  # they have no names of their own
            found |= providers.settings() if name == "provider_keys" else {name: info}
    return {name.upper(): info for name, info in found.items()}


def _names(raw: Mapping[str, str], key: str) -> list[str]:
    return [part.strip() for part in raw.get(key, "").split(",") if part.strip()]


def _group(raw: Mapping[str, str], model: type[BaseModel], prefix: str) -> dict[str, str]:
    return {name: raw[prefix + name.upper()] for name in model.model_fields if raw.get(prefix + name.upper())}


def _problem(location: tuple[int | str, ...], message: str, document: Mapping[str, Any]) -> Problem:
    key, info, value = _locate(location, document)
    return _shown(key, info, value, message)


def _shown(key: str, info: FieldInfo | None, value: str | None, message: str) -> Problem:
    expected = message.removeprefix("Value error, ")
    if value is None:
        expected = info.description or expected if info else expected
    return Problem(key, expected, value, example_of(info), is_secret(info))


def _locate(location: tuple[int | str, ...], document: Mapping[str, Any]) -> tuple[str, FieldInfo | None, str | None]:
    first = str(location[0])
    if first == "secrets" and len(location) >= 2:
        name = str(location[1])
        return name, Environment.model_fields[first], str(document[first].get(name, ""))
    if first in {"edges", "accounts"} and len(location) >= 3:
        item = document[first][int(location[1])]
        attribute = str(location[2])
        model, key = (Edge, edge_key) if first == "edges" else (Account, account_key)
        if attribute == "name":
            return first.upper(), Environment.model_fields[first], item["name"]
        return key(item["name"], attribute), model.model_fields[attribute], item.get(attribute)
    return first.upper(), Environment.model_fields.get(first), document.get(first)


def _with_examples(document: dict[str, Any], locations: list[tuple[int | str, ...]]) -> dict[str, Any]:
    repaired = {
        **document,
        "edges": [dict(e) for e in document["edges"]],
        "accounts": [dict(a) for a in document["accounts"]],
    }
    for location in locations:
        _, info, _ = _locate(location, document)
        example = example_of(info)
        if len(location) >= 3 and location[0] in {"edges", "accounts"}:
            repaired[str(location[0])][int(location[1])][str(location[2])] = example
        elif location[0] in {"dns_provider", "acme_dns_provider"}:
            # The example would demand the keys of a provider that nobody chose.
            repaired.pop(str(location[0]), None)
        else:
            repaired[str(location[0])] = example
    return repaired


def _copied_examples(raw: Mapping[str, str]) -> Iterator[Problem]:
    """Secrets that are still what `.env.example` says: known to everybody."""
    known = _known(raw)
    for key, value in raw.items():
        info = known.get(key)
        # REDIS_URL is one with a password in it only.
        if is_secret(info) and value and value == example_of(info) and ("://" not in value or "@" in value):
            yield Problem(key, "a secret of your own; this is the example's", value, secret=True)


def _known(raw: Mapping[str, str]) -> dict[str, FieldInfo]:
    known = settings()
    for name in _names(raw, "EDGES"):
        known |= {edge_key(name, a): info for a, info in Edge.model_fields.items() if a != "name"}
    for name in _names(raw, "ACCOUNTS"):
        known |= {account_key(name, a): info for a, info in Account.model_fields.items() if a != "name"}
    return known


def problem_of(raw: Mapping[str, str], key: str) -> Problem | None:
    """The first problem of one key in a file that may lack others."""
    _, problems = _validate(raw)
    return next((problem for problem in problems if problem.key == key), None)


def unfinished(raw: Mapping[str, str]) -> Environment:
    """The settings of a file that is not complete: examples stand in for what must be there."""
    document = _document(raw)
    document["edges"] = [edge for edge in document["edges"] if "ssh" in edge]
    document["accounts"] = [account for account in document["accounts"] if "password" in account]
    needed = {name: example_of(info) for name, info in Environment.model_fields.items() if info.is_required()}
    return Environment.model_validate({**needed, **document})


def secret_keys(raw: Mapping[str, str]) -> set[str]:
    """The keys of a file whose values are secrets, unknown ones included: nobody knows what is in them."""
    known = _known(raw)
    return {key for key in raw if key not in known or is_secret(known[key])}


def _unknown(raw: Mapping[str, str]) -> Iterator[str]:
    known = _known(raw)
    for key in raw:
        if key not in known and not key.startswith(SECRET_PREFIX):
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
            yield f"{key} is not a setting" + (f"; did you mean {near[0]}?" if near else "")
