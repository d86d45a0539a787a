"""The text of a `.env` with keys set to other values: comments, order and every other line stay as they are. Pure.

>>> edited("# Hosts\\nEDGES=edge-1,edge-2\\nEDGE_2_SSH=root@192.0.2.8\\n", {"EDGES": "edge-1", "EDGE_2_SSH": None})
'# Hosts\\nEDGES=edge-1\\n'
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import parse_stream

from tailwart.errors import TailwartError


def values(text: str) -> dict[str, str]:
    """Key → value as the deploy reads it; the last definition of a key counts."""
    bindings = parse_stream(io.StringIO(text))
    return {one.key: (one.value or "").strip() for one in bindings if one.key is not None}


def edited(text: str, changes: Mapping[str, str | None]) -> str:
    """``text`` with each key of ``changes`` at its new value; None removes the key, a new key goes to the end."""
    left = dict(changes)
    parts = []
    for binding in parse_stream(io.StringIO(text)):
        original = binding.original.string
        if binding.key is None or binding.key not in changes:
            parts.append(original)
            continue
        value = left.pop(binding.key, None)
        if value is not None:
            # Comments and empty lines before a definition belong to its text.
            lead = original[: len(original) - len(original.lstrip())]
            parts.append(f"{lead}{_line(binding.key, value)}")
    whole = "".join(parts)
    if whole and not whole.endswith("\n"):
        whole += "\n"
    return whole + "".join(_line(key, value) for key, value in left.items() if value is not None)


def write(path: Path, text: str) -> None:
    """Replace the file as a whole, mode 0600; raises `TailwartError` where its folder cannot be written."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            # Through a link, so that the file it leads to is replaced and the link stays.
            Path(temporary).replace(path.resolve())
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise TailwartError(
            f"{path} cannot be written",
            seen=error.strerror or type(error).__name__,
            expected="a folder that the user of this command can write",
            remedy=f"look at `ls -ld {path.parent}` and the disk, then run this again",
        ) from None


def _line(key: str, value: str) -> str:
    return f"{key}={_quoted(value)}\n"


def _quoted(value: str) -> str:
    """The value so that it is read back as it is: plain where nothing in it has a meaning for the file."""
    if not any(character in value for character in " #'\"\\$`\t") and value == value.strip():
        return value
    if "'" not in value and "\\" not in value:
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
