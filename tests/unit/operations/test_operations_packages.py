"""Packages are installed beside an apt that still works, and after a run that died while it installed them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tailwart.hosts.packages import SETTLE

# Answers as the real ones do while somebody else works; each call counts one of the failures in the file down.
_TOOL = """#!/bin/sh
echo "$(basename "$0") $*" >>"$LOG"
left=$(cat "$0.failures" 2>/dev/null || echo 0)
[ "$left" = 0 ] || { echo $((left - 1)) >"$0.failures"; echo "$SAID" >&2; exit 2; }
"""


# Nine turns instead of 300: each starts three processes, which a busy machine does not do 300 times in a minute.
_SETTLE = SETTLE.replace("300", "9")


def run(directory: Path, script: str, *, said: str, **failures: int) -> tuple[subprocess.CompletedProcess[str], str]:
    for name in ("dpkg", "apt-get", "sleep"):
        (directory / name).write_text(_TOOL)
        (directory / name).chmod(0o755)
        (directory / f"{name}.failures").write_text(str(failures.get(name.replace("-", "_"), 0)))
    log = directory / "log"
    log.write_text("")
    done = subprocess.run(
        ["sh", "-c", _SETTLE + script],
        env={**os.environ, "LOG": str(log), "SAID": said, "PATH": f"{directory}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done, log.read_text()


def test_what_dpkg_left_is_finished_as_soon_as_the_other_apt_is_done(tmp_path: Path) -> None:
    said = "dpkg: error: dpkg frontend lock was locked by another process with pid 4711"
    done, log = run(tmp_path, "echo ready", said=said, dpkg=3)
    assert done.stdout == "ready\n"
    assert log.count("dpkg --configure -a") == 4


@pytest.mark.parametrize("lock", ["/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"])
def test_apt_waits_for_every_lock(tmp_path: Path, lock: str) -> None:
    done, log = run(tmp_path, "apt update && echo ready", said=f"E: Could not get lock {lock}. It is held", apt_get=2)
    assert done.stdout == "ready\n"
    assert log.count("apt-get") == 3


def test_the_wait_has_an_end_and_says_why(tmp_path: Path) -> None:
    done, _ = run(tmp_path, "echo ready", said="dpkg: error: lock was locked by another process with pid 1", dpkg=12)
    assert done.returncode == 5
    assert done.stdout == ""
    assert "another apt has been at work for 9 s" in done.stderr


def test_another_failure_is_shown_at_once(tmp_path: Path) -> None:
    done, log = run(tmp_path, "apt install x || echo failed", said="E: Unable to locate package x", apt_get=9)
    assert done.stdout == "failed\n"
    assert "Unable to locate package x" in done.stderr
    assert log.count("apt-get") == 1
