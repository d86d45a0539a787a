"""Progress on standard error: what is being done, and for how long already."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_started = time.monotonic()
_lock = threading.Lock()
# A step that is silent for this long says that it is still at work (seconds).
HEARTBEAT = 20.0


def say(text: str) -> None:
    """One line, stamped with the seconds since the command began."""
    with _lock:
        sys.stderr.write(f"[{time.monotonic() - _started:6.1f} s] {text}\n")
        sys.stderr.flush()


@contextmanager
def step(what: str, quiet_under: float = 0.0) -> Iterator[None]:
    """Announce a step, remind while it runs, and say how long it took.

    ``quiet_under`` seconds: a step that ends sooner leaves no line at all, so that a warm start stays short.
    """
    begun = time.monotonic()
    done = threading.Event()
    announced = threading.Event()

    def remind() -> None:
        if quiet_under and done.wait(quiet_under):
            return
        announced.set()
        say(f"{what} …")
        while not done.wait(HEARTBEAT):
            say(f"{what} … {time.monotonic() - begun:.0f} s so far")

    reminder = threading.Thread(target=remind, daemon=True)
    reminder.start()
    failed = True
    try:
        yield
        failed = False
    finally:
        done.set()
        reminder.join()
        took = time.monotonic() - begun
        if failed:
            say(f"{what}: FAILED after {took:.1f} s")
        elif announced.is_set():
            say(f"{what}: done in {took:.1f} s")
