"""Real programs started for a test on free loopback ports and ended with it."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import programs


def free_port() -> int:
    """A port that nothing holds, on either family and with either protocol.

    Below the range from which the kernel serves outgoing connections: one of those would take it before the program
    that is started on it, on a machine where many tests run side by side. Above the lab's own ports.
    """
    while True:
        port = 25000 + secrets.randbelow(7000)
        with socket.socket(socket.AF_INET6) as stream, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagram:
            # Both families at once: a port that only 127.0.0.1 holds is refused as well.
            for each in (stream, datagram):
                each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            try:
                stream.bind(("::", port))
                datagram.bind(("::", port))
            except OSError:
                continue
        return port


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
def running(
    command: list[str], log: Path, variables: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The process for the time of the block; ``log`` takes its output, ``variables`` are its whole environment."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=variables)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
