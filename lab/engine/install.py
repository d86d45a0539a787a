"""Debian packages the lab needs on the operator's machine: checked by program, installed with the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from lab import paths
from lab.console import say, step
from tailwart.errors import TailwartError

_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def which(program: str) -> str | None:
    """Path of a program, also in the sbin directories that a user's PATH may lack."""
    return shutil.which(program) or shutil.which(program, path=_SEARCH)


def ensure(needs: dict[str, tuple[str, str]]) -> None:
    """Install the packages of absent programs: ``needs`` is program → (packages, why).

    Packages are separated by blanks; `a|b` is the first of them that this machine's Debian has. Raises TailwartError
    when apt-get is absent, may not be used, or fails.
    """
    absent = {program: need for program, need in needs.items() if which(program) is None}
    if not absent:
        return
    packages = sorted({each for packages, _ in absent.values() for each in packages.split()})
    for program, (_, why) in absent.items():
        say(f"{program} is missing ({why})")
    if which("apt-get") is None or os.geteuid() != 0:
        raise TailwartError(
            f"missing on this machine: {', '.join(absent)}",
            expected="a Debian-family machine and root, or these packages in place",
            remedy=f"as root: apt-get install {' '.join(each.rpartition('|')[2] for each in packages)}",
        )
    log = paths.ensure_private(paths.logs()) / "apt.log"
    # A fresh machine has no package lists, and old lists name files that are gone: they are fetched only then.
    fetched = any(not _known(each.rpartition("|")[2]) for each in packages)
    if fetched:
        _apt(log, "update")
    chosen = [_choose(each) for each in packages]
    with step(f"installing {' '.join(chosen)}"):
        code = _apt(log, "install", "-y", "--no-install-recommends", *chosen)
        if code != 0 and not fetched:
            _apt(log, "update")
            code = _apt(log, "install", "-y", "--no-install-recommends", *chosen)
    if code != 0:
        command = f"apt-get install --no-install-recommends {' '.join(chosen)}"
        raise TailwartError("apt-get failed", seen=f"exit code {code}", remedy=f"read {log}, then: {command}")


def _apt(log: Path, *arguments: str) -> int:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("ab") as stream:
        return subprocess.run(
            ["apt-get", *arguments],
            env=environment,
            stdout=stream,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode


def _known(package: str) -> bool:
    return subprocess.run(["apt-cache", "show", package], capture_output=True, check=False).returncode == 0


def _choose(alternatives: str) -> str:
    *preferred, last = alternatives.split("|")
    return next((package for package in preferred if _known(package)), last)
