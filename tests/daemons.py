"""Real programs started for a test on free loopback ports and ended with it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tailwart" / "programs"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def program(name: str, remedy: str) -> str:
    """Path of a program on PATH or, as the lab builds it, in the cache; skips the test and says how to get it."""
    built = sorted(_CACHE.glob(f"{name}-*/{name}"), key=lambda path: path.stat().st_mtime)
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") or (str(built[-1]) if built else None)
    if found is None:
        pytest.skip(f"needs the program {name}: {remedy}")
    return found


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process for the time of the block; `log` takes its output."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
