"""Debian packages the lab needs on the operator's machine: checked by program, installed with a word of why."""

from __future__ import annotations

import os
import shutil
import subprocess

from lab import paths
from lab.console import say, step
from tailwart.errors import TailwartError

_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def which(program: str) -> str | None:
    """Path of a program, also in the sbin directories that a user's PATH may lack."""
    return shutil.which(program) or shutil.which(program, path=_SEARCH)


def ensure(needs: dict[str, tuple[str, str]]) -> None:
    """Install the packages of absent programs: ``needs`` is program → (package, why).

    Raises TailwartError when apt-get is absent, may not be used, or fails.
    """
    absent = {program: need for program, need in needs.items() if which(program) is None}
    if not absent:
        return
    packages = sorted({package for package, _ in absent.values()})
    command = f"apt-get install --no-install-recommends {' '.join(packages)}"
    for program, (package, why) in absent.items():
        say(f"{program} is missing: installing {package} ({why})")
    if which("apt-get") is None or os.geteuid() != 0:
        raise TailwartError(
            f"missing on this machine: {', '.join(absent)}",
            expected="a Debian-family machine and root, or these packages in place",
            remedy=f"as root: {command}",
        )
    log = paths.ensure_private(paths.logs()) / "apt.log"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # A fresh machine may have no package lists, and old lists name files that are gone: update only then.
    attempts = (False, True)
    with step(f"apt-get install {' '.join(packages)}"), log.open("ab") as stream:
        for update in attempts:
            if update:
                subprocess.run(["apt-get", "update"], env=environment, stdout=stream, stderr=stream, check=False)
            result = subprocess.run(
                ["apt-get", "install", "-y", "--no-install-recommends", *packages],
                env=environment,
                stdout=stream,
                stderr=stream,
                stdin=subprocess.DEVNULL,
                check=False,
            )
            if result.returncode == 0:
                return
    raise TailwartError("apt-get failed", seen=f"exit code {result.returncode}", remedy=f"read {log}, then: {command}")
