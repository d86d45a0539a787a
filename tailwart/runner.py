"""The interface through which shell scripts run on a host, whoever runs them: pyinfra, SSH, a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Completed:
    """The result of a remote script. The runner logs neither text."""

    ok: bool
    stdout: str
    stderr: str


class Runner(Protocol):
    """Runs POSIX shell scripts on one host: that of an operation, or a test's own machine."""

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        """Run ``script``; secrets travel in ``stdin``, because the script itself is visible in process lists and logs.

        ``timeout`` is in seconds; a script that exceeds it raises `TimeoutError`.
        """
