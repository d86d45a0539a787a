"""A policy in a file: planned and merged without the API, for those who keep it in a repository."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tailwart.errors import TailwartError
from tailwart.tailnet.client import PolicyFile
from tailwart.tailnet.desired import Desired
from tailwart.tailnet.push import PolicyPlan, make_plan

STDIN = "-"


def read(name: str) -> str:
    """The text of a file, or of standard input for `-`. Raises `TailwartError` when it cannot be read as UTF-8."""
    try:
        content = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
        return content.decode("utf-8")
    except OSError as error:
        raise TailwartError(
            f"{name}: cannot be read", seen=error.strerror or type(error).__name__, remedy="check --file"
        ) from error
    except UnicodeDecodeError as error:
        raise TailwartError(
            f"{name}: is not UTF-8", seen=f"byte {error.start}", remedy="save the file as UTF-8"
        ) from error


def plan_text(text: str, desired: Desired, acknowledged: tuple[str, ...] = ()) -> PolicyPlan:
    """The plan for a text. Raises `TailwartError` as `make_plan` does."""
    return make_plan(PolicyFile(text, ""), desired, acknowledged)


def write(name: str, text: str) -> None:
    """Replace a file by a text, complete or not at all; its mode stays, and a link is followed."""
    path = Path(name).resolve()
    try:
        mode = path.stat().st_mode & 0o7777
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            Path(partial).chmod(mode)
            Path(partial).replace(path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise TailwartError(f"{name}: cannot be written", seen=error.strerror or type(error).__name__) from error
