"""Runs the operations' scripts in the shell that Debian calls sh, on this machine, under a temporary directory."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field

from tailwart.runner import Completed


@dataclass
class Shell:
    """A `Runner` of the local machine that keeps what it was asked to run."""

    scripts: list[str] = field(default_factory=list)

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        self.scripts.append(script)
        result = subprocess.run(
            ["sh", "-c", script], input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
        return Completed(result.returncode == 0, result.stdout, result.stderr)
