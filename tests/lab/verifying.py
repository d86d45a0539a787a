"""Running the verification against the lab and reading its verdict."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.lab.deploying import ROOT


def verify(environment_path: Path, *arguments: str, expect: int = 0) -> str:
    """`pytest tests/verify …` on the installation of a `.env`: its output, after its exit code was as expected."""
    process = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/verify", *arguments],
        cwd=ROOT,
        env={**os.environ, "TAILWART_ENV": str(environment_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    output = process.stdout + process.stderr
    assert process.returncode == expect, output[-6000:]
    return output
