"""The program pyinfra itself, in a folder with the inventory of a test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def pyinfra(directory: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """What it did with ``inventory.py`` of ``directory``; without colours, bars and a terminal."""
    return subprocess.run(
        [Path(sys.executable).with_name("pyinfra"), "inventory.py", *words],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYINFRA_PROGRESS": "off", "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
