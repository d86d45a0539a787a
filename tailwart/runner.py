"""Shell scripts on one host, as an interface: who runs them (pyinfra, SSH, a test) is decided elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Completed:
    """What a finished remote script said. Neither text is ever logged by the runner."""

    ok: bool
    stdout: str
    stderr: str


class Runner(Protocol):
    """Something that runs POSIX shell scripts on one host: the SSH host of an operation, or a test's machine."""

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        """Run ``script``; secrets travel in ``stdin``, because the script itself is visible in process lists and logs.

        ``timeout`` is in seconds; running over it raises `TimeoutError`.
        """
