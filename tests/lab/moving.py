"""`tailwart store move` on the lab's mailbox."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.lab.deploying import ROOT


def command(path: Path, log: Path) -> subprocess.Popen[bytes]:
    """The command under way with the settings of this `.env`; what it says goes to ``log``."""
    return subprocess.Popen(
        [str(Path(sys.executable).parent / "tailwart"), "store", "move", "--yes"],
        cwd=ROOT,
        env={**os.environ, "TAILWART_ENV": str(path)},
        stdin=subprocess.DEVNULL,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def moved(path: Path, log: Path) -> str:
    """What a whole move has said."""
    code = command(path, log).wait(400)
    assert code == 0, log.read_text()[-3000:]
    return log.read_text()
