"""The deploy, started by a command that has asked already."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tailwart.errors import TailwartError
from tailwart.history.recording import COMMAND_VARIABLE

DEPLOY = Path("deploy.py")


def deploy(*arguments: str, command: str, environment: Mapping[str, str] | None = None) -> bool:
    """Run the deploy in this terminal; whether it ended well. ``command`` is its name in the history.

    Raises `TailwartError` outside of a checkout.
    """
    if not DEPLOY.is_file():
        raise TailwartError(
            "there is no deploy.py here",
            seen=str(Path.cwd()),
            expected="the folder of your checkout",
            remedy="run this command there",
        )
    sys.stdout.flush()
    words = [str(Path(sys.executable).with_name("pyinfra")), "-y", "inventory.py", str(DEPLOY), *arguments]
    variables = {**os.environ, COMMAND_VARIABLE: command, **(environment or {})}
    return subprocess.run(words, env=variables, check=False).returncode == 0
