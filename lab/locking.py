"""One change of the lab at a time: two `lab up` side by side would replace each other's hosts."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from lab import paths
from lab.console import say


@contextmanager
def exclusive() -> Iterator[None]:
    """Wait for whoever is changing the lab right now. The kernel frees the lock of a killed process."""
    path = paths.ensure_private(paths.state()) / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another command is changing the lab: waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
