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

from lab import programs


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def program(name: str, remedy: str) -> str:
    """Path of a program: the lab's own build, compiled when it is not in the cache, else the one on PATH.

    Skips the test where it is missing and says how to get it; in CI, where nothing may be skipped, that is a failure.
    """
    if built := programs.built_by(name):
        programs.ensure([built])
        return str(built.directory / name)
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
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
