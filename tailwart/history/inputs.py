"""What a deploy is made from, besides the code: `.env` without its secrets, images.lock, group data.

A way back sets the settings of then and keeps the secrets of now: the other side of a password does not go back.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tailwart.environment import lock
from tailwart.environment.editing import values
from tailwart.environment.load import secret_keys

GROUP_DATA = Path("group_data")
# A password that somebody has written into group data: such a file is not copied.
_PASSWORD = re.compile(r"""(?i)["']?password["']?\s*[:=]\s*["'][^"'…]+["']""")


@dataclass(frozen=True, slots=True)
class Inputs:
    """``settings`` are the keys of `.env` that are no secrets, ``secrets`` the names of those that are.

    ``files`` are texts by name: images.lock, and the files of group_data; ``withheld`` are those that hold a password.
    """

    settings: Mapping[str, str]
    secrets: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    withheld: tuple[str, ...] = ()


def read(environment_path: Path, group_data: Path = GROUP_DATA) -> Inputs:
    """The inputs as they are now."""
    found = values(environment_path.read_text(encoding="utf-8"))
    hidden = secret_keys(found)
    files, withheld = {}, []
    for name, path in paths(environment_path, group_data).items():
        text = path.read_text(encoding="utf-8")
        if _PASSWORD.search(text):
            withheld.append(name)
        else:
            files[name] = text
    settings = {key: value for key, value in found.items() if key not in hidden}
    return Inputs(settings, tuple(sorted(set(found) & hidden)), files, tuple(withheld))


def paths(environment_path: Path, group_data: Path = GROUP_DATA) -> dict[str, Path]:
    """Name → path of the files that exist beside `.env`."""
    found = {lock.NAME: lock.beside(environment_path)}
    found |= {f"{group_data.name}/{path.name}": path for path in sorted(group_data.glob("*.py"))}
    return {name: path for name, path in found.items() if path.is_file()}


def changes(now: Inputs, then: Inputs) -> dict[str, str | None]:
    """The edit of `.env` that leads from ``now`` to ``then``; secrets are not touched."""
    keys = sorted({*now.settings, *then.settings})
    return {key: then.settings.get(key) for key in keys if now.settings.get(key) != then.settings.get(key)}


def missing_secrets(now: Inputs, then: Inputs) -> list[str]:
    """Names of secrets that ``then`` had and `.env` lacks now."""
    return sorted(set(then.secrets) - set(now.secrets))


def differences(old: Inputs, new: Inputs) -> Iterator[str]:
    """Unified differences of everything but secrets, of which only the names are compared."""
    yield from _diff(".env", _text(old), _text(new))
    for name in sorted({*old.files, *new.files} - {*old.withheld, *new.withheld}):
        yield from _diff(name, old.files.get(name, ""), new.files.get(name, ""))
    for name in sorted({*old.withheld, *new.withheld}):
        yield f"{name}: not compared, it holds a password"


def _text(inputs: Inputs) -> str:
    lines = {key: f"{key}={value}" for key, value in inputs.settings.items()}
    lines |= {key: f"{key}=(secret)" for key in inputs.secrets}
    return "".join(f"{lines[key]}\n" for key in sorted(lines))


def _diff(name: str, old: str, new: str) -> Iterator[str]:
    yield from difflib.unified_diff(old.splitlines(), new.splitlines(), name, name, lineterm="", n=2)
