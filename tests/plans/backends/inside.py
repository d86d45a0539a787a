"""A host in the place of which a namespace stands, with the programs that a test runs there."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from tailwart.runner import Completed
from tests.contract.namespace import Namespace


class Inside:
    """Runs scripts in the namespace, with these variables alone; ``scripts`` are those that were run."""

    def __init__(self, space: Namespace, environment: Mapping[str, str]) -> None:
        self._space = space
        self._environment = environment
        self.scripts: list[str] = []

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        self.scripts.append(script)
        done = subprocess.run(
            self._space.command("sh", "-c", script),
            input=stdin,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Completed(done.returncode == 0, done.stdout, done.stderr)
